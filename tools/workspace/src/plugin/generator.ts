/**
 * `npx nx g @cni-ts/workspace:plugin ‹name› --kind main|ipam|meta`: a package in packages/plugins that builds, passes its
 * tests and keeps the rules of the house at once. It needs no network.
 */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writeRegistry } from '@cni-ts/bundle/registry';
import { exportNameOf, type PluginKind, packages } from '@cni-ts/bundle/workspace';
import type { Tree } from 'nx/src/devkit-exports';
import { isInstalled, linkPackage, setInstalled } from './link-package.ts';
import { nameComplaint } from './plugin-name.ts';
import { withRow } from './readme-row.ts';

export interface Options {
  readonly name: string;
  readonly kind: PluginKind;
}

const templates = join(import.meta.dirname, 'templates');

/** Writes into nx's tree, which nx then writes to the disk (unless it is a dry run); what is returned comes after that. */
export default function plugin(tree: Tree, { name, kind }: Options): () => void {
  const folder = join(templates, kind);
  const files = globSync('**/*.*', { cwd: folder });
  const text = (file: string) => readFileSync(join(folder, file), 'utf8');
  const sources = files.filter((file) => file.endsWith('.ts')).map(text);
  const why = nameComplaint(name, packages(tree.root), sources.join('\n'));
  if (why) throw new Error(why);

  const path = `packages/plugins/${kind}/${name}`;
  const fill = (template: string) =>
    template
      .replaceAll('__name__', name)
      .replaceAll('__plugin__', exportNameOf(name))
      // For nft, whose names have no dashes.
      .replaceAll('__word__', name.replaceAll('-', '_'));
  for (const file of files) tree.write(join(path, fill(file)), fill(text(file)));

  const manifest = JSON.parse(fill(text('package.json')));
  const json = (file: string) => JSON.parse(tree.read(file, 'utf8') ?? '{}');
  const write = (file: string, value: unknown) =>
    tree.write(file, `${JSON.stringify(value, undefined, 2)}\n`);

  const multicall = json('packages/multicall/package.json');
  multicall.dependencies = sorted({ ...multicall.dependencies, [manifest.name]: manifest.version });
  write('packages/multicall/package.json', multicall);

  // As npm would write it; npm itself would ask the registry.
  const lock = json('package-lock.json');
  const { version, license, dependencies, devDependencies } = manifest;
  lock.packages['packages/multicall'].dependencies = multicall.dependencies;
  lock.packages[path] = { name: manifest.name, version, license, dependencies, devDependencies };
  lock.packages[`node_modules/${manifest.name}`] = { resolved: path, link: true };
  lock.packages = sorted(lock.packages);
  write('package-lock.json', lock);

  const readme = tree.read('README.md', 'utf8') ?? '';
  tree.write('README.md', withRow(readme, name, kind, `packages/plugins/${kind}/${name}/README.md`));

  const installed = isInstalled(tree.root);
  return () => {
    linkPackage(tree.root, manifest.name, path);
    // Otherwise the next command would install everything anew, for a package that is no download.
    if (installed) setInstalled(tree.root);
    writeRegistry(tree.root);
    // A name changes where lines break.
    const biome = join(tree.root, 'node_modules/.bin/biome');
    execFileSync(biome, ['check', '--write', path], {
      cwd: tree.root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    process.stdout.write(`
${basename(path)} is there and works. Next:
  npx nx test ${name}      # its tests, against the sources
  npx nx build ${name}     # dist/js/${name}.js
  npm run build            # dist/bin/${name}
Say what it does: ${path}/README.md, its row in README.md, and the doc comment of ${path}/src/${name}.ts.
`);
  };
}

/** Members in the order in which npm writes them. */
function sorted<T>(members: Readonly<Record<string, T>>): Record<string, T> {
  const order = new Intl.Collator('en').compare;
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => order(a, b)));
}
