import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { compiledShapes, namedSchemas } from './config-shapes.ts';
import { lazyZod, zodEntry } from './lazy-zod.ts';
import { link } from './link.ts';
import { lazyRegistry } from './registry.ts';
import { hasSource, pluginFolders, readManifest, workspaceRoot } from './workspace.ts';

/** Node says with every use of FFI that it is experimental. On stderr of a plugin that is noise for the operator. */
const shebang = '#!/usr/bin/env -S node --disable-warning=ExperimentalWarning';

/** A CommonJS file has no import.meta: what sources take from it is made from what it has. */
const importMeta = `const importMetaUrl = 'file://' + encodeURI(__filename);`;

/** CommonJS, because it starts faster than ESM and Bun compiles nothing else to bytecode. `node:ffi` stays an
 *  import: libc takes it where the running engine is Node. */
const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'esnext',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  external: ['bun', 'node:ffi'],
  define: { 'import.meta.url': 'importMetaUrl' },
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

/** A part of the multi-call program that is loaded as one, and the sources whose code is in it, relative to the root. */
export type Chunks = Readonly<Record<string, readonly string[]>>;

/**
 * The multi-call program as CommonJS files in `folder`, to be compiled together: main.cjs has all that is ours, and
 * each library of others that only some calls need is a file of its own. `prologue`: code to begin each chunk with.
 * A program called as `bridge` evaluates the chunks that bridge needs, and VERSION next to nothing.
 */
export async function bundleMulticall(
  folder: string,
  root: string = workspaceRoot,
  prologue: (chunk: string) => string = () => '',
): Promise<Chunks> {
  const plugins = pluginFolders(root).filter(hasSource);
  const { outputFiles, metafile } = await build({
    ...common,
    // esbuild splits ES modules only; link makes them CommonJS.
    format: 'esm',
    define: {},
    splitting: true,
    write: false,
    metafile: true,
    absWorkingDir: root,
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    chunkNames: 'shared-[hash]',
    entryPoints: {
      main: join(root, 'packages/multicall/src/main.ts'),
      zod: zodEntry,
      ...Object.fromEntries(
        plugins.map((plugin) => [plugin.name, join(plugin.folder, 'src', `${plugin.name}.ts`)]),
      ),
    },
    plugins: [lazyRegistry, lazyZod(root), compiledShapes(await namedSchemas(root))],
  });
  const inputs = Object.fromEntries(
    Object.entries(metafile.outputs).map(([path, output]) => [basename(path), Object.keys(output.inputs)]),
  );
  const chunks = outputFiles.map(({ path, text }) => ({
    name: basename(path),
    text: prologue(basename(path)) + text,
  }));
  const fileOf = (chunk: string) => {
    const sources = inputs[chunk] ?? [];
    if (sources.length === 0) return undefined;
    return sources.some((source) => source.startsWith('node_modules/')) ? chunk : 'main.cjs';
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of link(chunks, 'main.cjs', fileOf)) writeFileSync(join(folder, name), text);
  return inputs;
}
