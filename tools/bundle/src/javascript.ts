import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { compiledShapes, namedSchemas } from './config-shapes.ts';
import { readManifest, workspaceRoot } from './workspace.ts';

/** Node says with every use of FFI that it is experimental. On stderr of a plugin that is noise for the operator. */
const shebang = '#!/usr/bin/env -S node --disable-warning=ExperimentalWarning';

/** A CommonJS file has no import.meta: what sources take from it is made from what it has. */
const importMeta = `const importMetaUrl = 'file://' + encodeURI(__filename);`;

/** The form of this package that a bundler can read (the other calls `require` by a name of its own), and its reader alone: the
 *  rest makes tables of blanks when it is loaded. */
const readable = {
  'jsonc-parser': join(workspaceRoot, 'node_modules/jsonc-parser/lib/esm/impl/parser.js'),
  'js-yaml': join(import.meta.dirname, 'yaml-reader.js'),
};

const common = {
  bundle: true,
  platform: 'node',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  alias: readable,
} satisfies BuildOptions;

/** Where a package's bundle goes, relative to the root: what its build target declares, else dist/js/‹project›.js. */
export function bundlePath(folder: string): string {
  const { nx, name } = readManifest(folder);
  const declared = nx?.targets?.build?.outputs?.[0];
  return declared?.replace('{workspaceRoot}/', '') ?? `dist/js/${nx?.name ?? name}.js`;
}

/** Packages as executable files for Node 26, one each: `src/main.ts` and all it imports. Together they take little longer than
 *  one of them: what they share is read once. Returns the sources in them, relative to the root. */
export async function bundlePackages(
  folders: readonly string[],
  root: string = workspaceRoot,
): Promise<string[]> {
  for (const folder of folders) {
    if (existsSync(join(folder, 'src/main.ts'))) continue;
    throw new Error(
      `${relative(root, folder)} has no src/main.ts: write it (three lines that hand the plugin to the skeleton)`,
    );
  }
  for (const folder of folders) sayCommonJs(dirname(join(root, bundlePath(folder))));
  const metafile = await bundles(folders, root, true);
  for (const folder of folders) chmodSync(join(root, bundlePath(folder)), 0o755);
  return sourcesIn(metafile);
}

/** The sources in the bundles of these packages, relative to the root: what esbuild says of bundling them all. */
export async function sourcesOfBundles(
  folders: readonly string[],
  root: string = workspaceRoot,
): Promise<string[]> {
  return sourcesIn(await bundles(folders, root, false));
}

async function bundles(folders: readonly string[], root: string, write: boolean): Promise<Metafile> {
  const { metafile } = await build({
    ...common,
    // CommonJS starts faster than ESM.
    format: 'cjs',
    target: 'esnext',
    define: { 'import.meta.url': 'importMetaUrl' },
    absWorkingDir: root,
    entryPoints: folders.map((folder) => ({
      in: join(folder, 'src/main.ts'),
      out: bundlePath(folder).replace(/\.js$/, ''),
    })),
    outdir: root,
    banner: { js: `${shebang}\n${importMeta}` },
    write,
    metafile: true,
  });
  return metafile;
}

function sourcesIn({ outputs }: Metafile): string[] {
  return Object.values(outputs).flatMap(({ inputs }) => Object.keys(inputs));
}

/** Inside the repository, Node would take a .js file for an ES module, as the root's package.json says. Elsewhere
 *  (in the directory a runtime looks for plugins in) a file is CommonJS by default. */
function sayCommonJs(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
}

/** A program for the engine: its script, and the sources that are in it, relative to the root. */
export interface Program {
  readonly script: string;
  readonly sources: readonly string[];
}

/** The plugins' program. All of it is evaluated when the program is built (engine.c); a call is `run`. */
export async function bundleMulticall(root: string = workspaceRoot): Promise<Program> {
  return bundleRun('packages/multicall/src/main.ts', root);
}

/** The tool's program, in the same way: cnitool, and the plugins in it. */
export async function bundleTool(root: string = workspaceRoot): Promise<Program> {
  return bundleRun('packages/multicall/src/tool.ts', root);
}

async function bundleRun(source: string, root: string): Promise<Program> {
  const contents = `import { run } from ${JSON.stringify(join(root, source))};\nengine.start = run;\n`;
  const plugins = [compiledShapes(await namedSchemas(root))];
  return programOf(root, { stdin: { contents, resolveDir: root, sourcefile: 'entry.js' }, plugins });
}

/** A program for the engine that is one source, `entry`, and what it imports. It is evaluated by the call. */
export async function bundleForEngine(entry: string, root: string = workspaceRoot): Promise<Program> {
  const { script, sources } = await programOf(
    root,
    { entryPoints: [entry] },
    (own) => `engine.start = () => {\n${own}};\n`,
  );
  return { script, sources };
}

/** The prelude, then what `options` name, as one script without modules. */
async function programOf(
  root: string,
  options: BuildOptions,
  wrap: (own: string) => string = (own) => own,
): Promise<Program> {
  const prelude = await scriptOf(root, { entryPoints: [join(root, 'packages/engine/src/prelude.ts')] });
  const own = await scriptOf(root, options);
  return { script: prelude.script + wrap(own.script), sources: [...prelude.sources, ...own.sources] };
}

async function scriptOf(root: string, options: BuildOptions): Promise<Program> {
  const { outputFiles, metafile } = await build({
    ...common,
    format: 'iife',
    // What the engine knows of the language.
    target: 'es2022',
    // The names of variables are in the bytecode; whitespace is not.
    minifyIdentifiers: true,
    minifySyntax: true,
    absWorkingDir: root,
    // The engine has no modules of its own, and of Node's nothing but this is used.
    alias: { ...readable, 'node:path': 'path-browserify' },
    ...options,
    metafile: true,
    write: false,
    outdir: root,
  });
  const [output] = Object.values(metafile.outputs);
  const missing = output?.imports.find((one) => one.external);
  if (missing) {
    const importer = Object.entries(metafile.inputs).find(([, { imports }]) =>
      imports.some(({ path }) => path === missing.path),
    );
    throw new Error(`${importer?.[0]} needs ${missing.path}, which the engine does not have`);
  }
  return { script: outputFiles[0]?.text ?? '', sources: Object.keys(output?.inputs ?? {}) };
}
