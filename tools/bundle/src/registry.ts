import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

/** Where the multi-call program finds its plugins; relative to the root. */
export const registryPath = 'packages/multicall/src/registry.ts';

/** Text of registry.ts, from the plugin folders. */
export function registryText(root: string = workspaceRoot): string {
  const plugins = pluginFolders(root).filter(hasSource);
  const member = (name: string, exportName: string) =>
    name === exportName ? name : `${/^[a-z]+$/.test(name) ? name : `'${name}'`}: ${exportName}`;
  const imports = plugins.map(({ name, exportName }) => ({
    from: `@cni-ts/${name}/${name}`,
    what: `{ ${exportName} }`,
  }));
  imports.push({ from: '@cni-ts/skeleton/plugin', what: 'type { Plugin }' });
  imports.sort((a, b) => (a.from < b.from ? -1 : 1));
  return `// Generated from the folders in packages/plugins by \`npm run build\`. Do not edit.
${imports.map(({ from, what }) => `import ${what} from '${from}';\n`).join('')}
/** Every plugin by its name. */
export const registry: Readonly<Record<string, Plugin>> = {
${plugins.map(({ name, exportName }) => `  ${member(name, exportName)},\n`).join('')}};

/** Names of other plugins, whose configuration one of ours reads. Nothing is installed under them unless it is asked for. */
export const otherNames: Readonly<Record<string, Plugin>> = {
${plugins
  .flatMap(({ alsoCalled, exportName }) => alsoCalled.map((name) => `  ${member(name, exportName)},\n`))
  .join('')}};
`;
}

/** Brings registry.ts up to date. Written only when it differs, so that build caches stay valid. */
export function writeRegistry(root: string = workspaceRoot): void {
  const path = join(root, registryPath);
  const text = registryText(root);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}
