import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** The repository's root, wherever the command was started. */
export const workspaceRoot = resolve(import.meta.dirname, '../../..');

export type PluginKind = 'main' | 'ipam' | 'meta';

/** One plugin as its folder tells it; nothing else registers plugins. */
export interface PluginFolder {
  /** Name of the executable and of the package, `type` in configurations. */
  readonly name: string;
  readonly kind: PluginKind;
  /** Absolute path of the package. */
  readonly folder: string;
  /** Name under which src/‹name›.ts exports the plugin: host-local → hostLocal, static → staticPlugin. */
  readonly exportName: string;
  /** Other names it can be called by (`alsoCalled` in its package.json): those of plugins whose configuration it reads. */
  readonly alsoCalled: readonly string[];
}

const kinds: readonly PluginKind[] = ['ipam', 'main', 'meta'];

/** All plugins of the workspace, sorted by name. */
export function pluginFolders(root: string = workspaceRoot): PluginFolder[] {
  return kinds
    .flatMap((kind) =>
      foldersIn(join(root, 'packages/plugins', kind)).map((name) => ({
        name,
        kind,
        folder: join(root, 'packages/plugins', kind, name),
        exportName: exportNameOf(name),
        alsoCalled: otherNames(join(root, 'packages/plugins', kind, name)),
      })),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function otherNames(folder: string): readonly string[] {
  return existsSync(join(folder, 'package.json')) ? (readManifest(folder).alsoCalled ?? []) : [];
}

/** A plugin whose source has begun; a folder with package.json alone has nothing to build yet. */
export function hasSource(plugin: PluginFolder): boolean {
  return existsSync(join(plugin.folder, 'src', `${plugin.name}.ts`));
}

/** Words that cannot name a variable of a module (ECMAScript, 12.7.2) and could well name a plugin. */
const reservedWords = new Set(['static', 'switch', 'interface', 'package', 'private', 'public', 'default']);

export function exportNameOf(name: string): string {
  const camel = camelCase(name);
  return reservedWords.has(camel) ? `${camel}Plugin` : camel;
}

export function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** The part of a package.json that the tools read. */
export interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  alsoCalled?: string[];
  nx?: { name?: string; tags?: string[]; targets?: Record<string, { outputs?: string[] }> };
}

/** One package of the workspace. */
export interface Package {
  /** As npm and imports name it: @cni-ts/bridge. */
  readonly name: string;
  /** As nx names it: bridge. */
  readonly project: string;
  /** Absolute, and relative to the root. */
  readonly folder: string;
  readonly path: string;
  /** `layer:‹layer›` among its tags, '' when the tag is missing. */
  readonly layer: string;
  readonly manifest: Manifest;
}

/** Every package the root's `workspaces` patterns name. */
export function packages(root: string = workspaceRoot): Package[] {
  const found: string[] = [];
  for (const parent of [
    'packages',
    'packages/plugins/ipam',
    'packages/plugins/main',
    'packages/plugins/meta',
    'tools',
    '.',
  ]) {
    const names = parent === '.' ? ['e2e'] : foldersIn(join(root, parent));
    found.push(...names.map((name) => join(root, parent, name)));
  }
  return found
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => {
      const manifest = readManifest(folder);
      return {
        name: manifest.name,
        project: manifest.nx?.name ?? manifest.name,
        folder,
        path: relative(root, folder),
        layer: manifest.nx?.tags?.find((tag) => tag.startsWith('layer:'))?.slice('layer:'.length) ?? '',
        manifest,
      };
    });
}

export function readManifest(folder: string): Manifest {
  // Our own files; the tests in tools/workspace check the members that matter.
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .map((entry) => entry.name)
    .sort();
}
