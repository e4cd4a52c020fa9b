import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { compiledShapes, namedSchemas } from './config-shapes.ts';
import { lazyZod, zodEntry } from './lazy-zod.ts';
import { link, type Script } from './link.ts';
import { lazyRegistry } from './registry.ts';
import { hasSource, pluginFolders, readManifest, workspaceRoot } from './workspace.ts';

/** Node says with every use of FFI that it is experimental. On stderr of a plugin that is noise for the operator. */
const shebang = '#!/usr/bin/env -S node --disable-warning=ExperimentalWarning';

/** A CommonJS file has no import.meta: what sources take from it is made from what it has. */
const importMeta = `const importMetaUrl = 'file://' + encodeURI(__filename);`;

const common = {
  bundle: true,
  platform: 'node',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
} satisfies BuildOptions;

/** Where a package's bundle goes, relative to the root: what its build target declares, else dist/js/‹project›.js. */
export function bundlePath(folder: string): string {
  const { nx, name } = readManifest(folder);
  const declared = nx?.targets?.build?.outputs?.[0];
  return declared?.replace('{workspaceRoot}/', '') ?? `dist/js/${nx?.name ?? name}.js`;
}

/** One package as one executable file for Node 26: `src/main.ts` and all it imports. Returns the file's path. */
export async function bundlePackage(folder: string, root: string = workspaceRoot): Promise<string> {
  const entry = join(folder, 'src/main.ts');
  if (!existsSync(entry)) {
    throw new Error(
      `${relative(root, folder)} has no src/main.ts: write it (three lines that hand the plugin to the skeleton)`,
    );
  }
  const outfile = join(root, bundlePath(folder));
  sayCommonJs(dirname(outfile));
  await build({
    ...common,
    // CommonJS starts faster than ESM.
    format: 'cjs',
    target: 'esnext',
    define: { 'import.meta.url': 'importMetaUrl' },
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    banner: { js: `${shebang}\n${importMeta}` },
  });
  chmodSync(outfile, 0o755);
  return outfile;
}

/** Inside the repository, Node would take a .js file for an ES module, as the root's package.json says. Elsewhere
 *  (in the directory a runtime looks for plugins in) a file is CommonJS by default. */
function sayCommonJs(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
}

/** The multi-call program: the scripts it is compiled of, and the sources that are in each, relative to the root. */
export interface Program {
  readonly scripts: readonly Script[];
  readonly sources: Readonly<Record<string, readonly string[]>>;
}

/**
 * The multi-call program for the engine. `prologue`: code to begin each chunk with. A program called as `bridge`
 * evaluates the chunks that bridge needs, and VERSION next to nothing.
 */
export async function bundleMulticall(
  root: string = workspaceRoot,
  prologue: (chunk: string) => string = () => '',
): Promise<Program> {
  const plugins = pluginFolders(root).filter(hasSource);
  const { outputFiles, metafile } = await build({
    ...common,
    ...engineOptions(root),
    metafile: true,
    chunkNames: 'shared-[hash]',
    entryPoints: {
      prelude: join(root, 'packages/engine/src/prelude.ts'),
      main: join(root, 'packages/multicall/src/main.ts'),
      zod: zodEntry,
      ...Object.fromEntries(
        plugins.map((plugin) => [plugin.name, join(plugin.folder, 'src', `${plugin.name}.ts`)]),
      ),
    },
    plugins: [lazyRegistry, lazyZod(root), compiledShapes(await namedSchemas(root))],
  });
  for (const [path, { imports }] of Object.entries(metafile.outputs)) {
    const missing = imports.find((one) => one.external && !one.path.endsWith('.cjs'));
    if (missing) throw new Error(`${path} needs ${missing.path}, which the engine does not have`);
  }
  const sources = Object.fromEntries(
    Object.entries(metafile.outputs).map(([path, output]) => [basename(path), Object.keys(output.inputs)]),
  );
  const chunks = outputFiles.map(({ path, text }) => ({
    name: basename(path),
    text: prologue(basename(path)) + text,
  }));
  const prepared = chunks.map(({ name }) => name).filter((name) => name !== 'zod.cjs');
  return { scripts: link(chunks, { prelude: 'prelude.cjs', entry: 'main.cjs', prepared }), sources };
}

/** A program for the engine that is one source, `entry`, and what it imports. */
export async function bundleForEngine(entry: string, root: string = workspaceRoot): Promise<Script[]> {
  const { outputFiles } = await build({
    ...common,
    ...engineOptions(root),
    entryPoints: { main: entry, prelude: join(root, 'packages/engine/src/prelude.ts') },
  });
  return link(
    outputFiles.map(({ path, text }) => ({ name: basename(path), text })),
    { prelude: 'prelude.cjs', entry: 'main.cjs', prepared: [] },
  );
}

/** ES modules that link can read, in what the engine knows of the language. */
function engineOptions(root: string) {
  return {
    format: 'esm',
    target: 'es2022',
    // The names of variables are in the bytecode; whitespace is not.
    minifyIdentifiers: true,
    minifySyntax: true,
    splitting: true,
    write: false,
    absWorkingDir: root,
    outdir: root,
    outExtension: { '.js': '.cjs' },
    // The engine has no modules of its own, and of Node's nothing but this is used.
    alias: { 'node:path': 'path-browserify' },
  } satisfies BuildOptions;
}
