import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { lazyRegistry } from './registry.ts';
import { readManifest, workspaceRoot } from './workspace.ts';

/** Node says with every use of FFI that it is experimental. On stderr of a plugin that is noise for the operator. */
const shebang = '#!/usr/bin/env -S node --disable-warning=ExperimentalWarning';

/** A CommonJS file has no import.meta: what sources take from it is made from what it has. */
const importMeta = `const importMetaUrl = 'file://' + encodeURI(__filename);`;

/** CommonJS, because it starts faster than ESM and Bun compiles nothing else to bytecode. `bun:ffi` and `node:ffi`
 *  stay imports: libc takes the one that the running engine has. */
const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'esnext',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  external: ['bun', 'bun:ffi', 'node:ffi'],
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

/** The multi-call program as one file to compile. Its modules are evaluated when they are first asked for. */
export async function bundleMulticall(outfile: string, root: string = workspaceRoot): Promise<void> {
  await build({
    ...common,
    absWorkingDir: root,
    entryPoints: [join(root, 'packages/multicall/src/main.ts')],
    outfile,
    banner: { js: importMeta },
    plugins: [lazyRegistry],
  });
}
