import type { PluginKind } from '@cni-ts/bundle/workspace';

/** How the root's README names a kind. */
const shown: Readonly<Record<PluginKind, string>> = { main: 'main', ipam: 'IPAM', meta: 'meta' };

/** The text of the root's README with a row for a plugin in its table, after the others of its kind. */
export function withRow(readme: string, name: string, kind: PluginKind, path: string): string {
  const lines = readme.split('\n');
  const last = lines.findLastIndex((line) => line.startsWith('| [') && line.includes(`) | ${shown[kind]} |`));
  if (last === -1) throw new Error(`README.md has no table with plugins of kind ${shown[kind]}`);
  const row = `| [${name}](${path}) | ${shown[kind]} | new: say here what it does |`;
  return lines.toSpliced(last + 1, 0, row).join('\n');
}
