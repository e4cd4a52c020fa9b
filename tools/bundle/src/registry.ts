import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

/** Where the multi-call program finds its plugins; relative to the root. */
export const registryPath = 'packages/multicall/src/registry.ts';

/** The one line that differs between source and bundle: from source, Node's loader finds the packages; in the
 *  bundle, the plugin's own file is required when it is called for and not before. */
const loaderLines = `import { createRequire } from 'node:module';\n`;
const loaderStatement = `const require = createRequire(import.meta.url);\n`;

/** Text of registry.ts, from the plugin folders. */
export function registryText(root: string = workspaceRoot): string {
  const plugins = pluginFolders(root).filter(hasSource);
  const quoted = (name: string) => (/^[a-z]+$/.test(name) ? name : `'${name}'`);
  const lines = plugins.map(
    ({ name, exportName }) => `  ${quoted(name)}: () => require('@cni-ts/${name}/${name}').${exportName},\n`,
  );
  return `// Generated from the folders in packages/plugins by \`npm run build\`. Do not edit.
${loaderLines}import type { Plugin } from '@cni-ts/skeleton/plugin';

${loaderStatement}
/** Every plugin by its name, loaded when called for: a program started as \`bridge\` evaluates bridge alone. */
export const registry: Readonly<Record<string, () => Plugin>> = {
${lines.join('')}};
`;
}

/** Brings registry.ts up to date. Written only when it differs, so that build caches stay valid. */
export function writeRegistry(root: string = workspaceRoot): void {
  const path = join(root, registryPath);
  const text = registryText(root);
  if (readIfThere(path) !== text) writeFileSync(path, text);
}

/** For esbuild: in registry.ts a plugin is a file of its own, required when it is called for. */
export const lazyRegistry: Plugin = {
  name: 'lazy-registry',
  setup(build) {
    build.onLoad({ filter: /[/\\]multicall[/\\]src[/\\]registry\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes(loaderLines) || !text.includes(loaderStatement)) {
        throw new Error(`${path} is not as the generator writes it: run \`npm run build\``);
      }
      return { contents: text.replace(loaderLines, '').replace(loaderStatement, ''), loader: 'ts' };
    });
    build.onResolve({ filter: /^@cni-ts\// }, ({ kind, path, importer }) => {
      if (kind !== 'require-call' || !importer.endsWith(registryPath)) return undefined;
      return { path: `./${basename(path)}.cjs`, external: true };
    });
  },
};

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // not there yet: as good as out of date
  }
}
