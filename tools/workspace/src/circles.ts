import { posix } from 'node:path';
import type { Package } from '@cni-ts/bundle/workspace';
import { type Import, packageOf } from './imports.ts';

/** What imports what, by name; both ends are files, or both packages. */
type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Imports that come back to where they start, as sentences: among files of one package, and among packages. Imports of
 * types and those of tests count: whoever reads one of these files has to read them all.
 */
export function circles(all: readonly Package[], from: (one: Package) => readonly Import[]): string[] {
  const files = new Map<string, Set<string>>();
  const packages = new Map<string, Set<string>>();
  const add = (graph: Map<string, Set<string>>, name: string, target: string) => {
    graph.set(name, (graph.get(name) ?? new Set()).add(target));
  };
  const known = new Set(all.map(({ name }) => name));
  for (const one of all) {
    for (const { file, specifier } of from(one)) {
      const within = fileWithin(one, file, specifier);
      if (within !== undefined) add(files, `${one.path}/${file}`, `${one.path}/${within}`);
      const target = packageOf(specifier);
      if (target !== undefined && target !== one.name && known.has(target)) add(packages, one.name, target);
    }
  }
  return [
    ...circlesIn(files).map(
      (circle) =>
        `${circle} is a circle of imports: move what they need of each other, often a type alone, to a file of its own that imports none of them`,
    ),
    ...circlesIn(packages).map(
      (circle) =>
        `${circle} is a circle of packages: move what both need to a package below them, and a test that needs the upper one into the upper one`,
    ),
  ];
}

/** The file of the same package that an import means: by a relative path, or by the package's own name. */
function fileWithin(one: Package, file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(file), specifier);
  return specifier.startsWith(`${one.name}/`) ? `src/${specifier.slice(one.name.length + 1)}.ts` : undefined;
}

/** One way round for each import that leads back to one of those that lead to it: `a → b → a`. */
function circlesIn(graph: Graph): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): void => {
    const at = path.indexOf(name);
    if (at >= 0) found.push([...path.slice(at), name].join(' → '));
    if (at >= 0 || done.has(name)) return;
    path.push(name);
    for (const next of graph.get(name) ?? []) visit(next);
    path.pop();
    done.add(name);
  };
  for (const name of graph.keys()) visit(name);
  return found;
}
