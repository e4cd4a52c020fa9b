/** Which files of tests are pure: they need no kernel, no disk and no program, so their outcome follows from the sources
 *  alone and nx may keep it. All others go to the kernel, or to the machine in some other way. */
import { join } from 'node:path';
import { packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { importsOf, packageOf } from './imports.ts';

/** Modules of Node that only compute. */
const computing = ['node:assert', 'node:crypto', 'node:path', 'node:url', 'node:util'];

/** What only names things, of a package that calls into C. */
const harmless = ['@cni-ts/libc/syscall-error'];

/** Files that touch the machine, or read what other packages do not declare, by what they test, although they import
 *  nothing that says so. */
const notPure: readonly string[] = [
  // Start a daemon, and plugins.
  'packages/plugins/ipam/dhcp/src/options.test.ts',
  'packages/plugins/ipam/dhcp/src/probe.test.ts',
  // Calls plugins, and a call begins with a look at the namespaces.
  'packages/ipam-kit/src/ipam-plugin.test.ts',
  // Opens sockets.
  'packages/resource/src/namespace.test.ts',
  // Opens namespaces of a container that are none.
  'packages/skeleton/src/dispatch.test.ts',
  // Its scenarios look at the machine as they are loaded.
  'tools/bench/src/scenarios.test.ts',
  // Loads every plugin there is.
  'tools/bundle/src/config-shapes.test.ts',
  // Reads every package there is.
  'tools/workspace/src/boundaries.test.ts',
];

/** True when a file of tests that imports this touches the machine: by Node, by C, or on a stage of @cni-ts/testing. */
export function touchesMachine(specifier: string): boolean {
  if (specifier.startsWith('node:')) return !computing.includes(specifier);
  const name = packageOf(specifier);
  if (name === '@cni-ts/libc') return !harmless.includes(specifier);
  return name === '@cni-ts/testing' || name === 'execa';
}

/** Every pure file of tests of the workspace's packages, relative to the root, in order. A pure one that touches the
 *  machine all the same fails: it runs without a permission to (vitest.config.ts). */
export function pureTests(): string[] {
  return packages()
    .filter(({ project }) => !['libc', 'e2e', 'testing'].includes(project))
    .flatMap((one) => {
      const imports = Map.groupBy(importsOf(one), ({ file }) => file);
      return [...imports]
        .filter(([file]) => file.endsWith('.test.ts') && !file.endsWith('.uml.test.ts'))
        .filter(([, found]) => !found.some(({ specifier }) => touchesMachine(specifier)))
        .map(([file]) => join(one.path, file));
    })
    .filter((file) => !notPure.includes(file))
    .sort();
}

/** What the pure tests of a project may read: its own folder, and the sources of the packages it declares, and of theirs.
 *  nx takes just these for what their outcome follows from. */
export function readableBy(project: string): string[] {
  const all = packages();
  const byName = new Map(all.map((one) => [one.name, one]));
  const reached = new Set(all.filter((one) => one.project === project));
  // A set's loop comes to what is added to it on the way.
  for (const { manifest } of reached) {
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
      const found = byName.get(name);
      if (found) reached.add(found);
    }
  }
  const folders = [...reached].map((one) => (one.project === project ? one.folder : join(one.folder, 'src')));
  return [...folders, join(workspaceRoot, 'node_modules')];
}
