import { join } from 'node:path';
import { type Package, packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { expect, test } from 'vitest';
import { violations } from './boundaries.ts';

test('no import goes where its layer must not, and each is declared', () => {
  expect(violations(packages())).toEqual([]);
});

/** A package of a layer, as if it had one file with one import. */
function pretend(project: string, layer: string, dependencies: string[] = []): Package {
  const versions = Object.fromEntries(dependencies.map((name) => [name, '0.1.0']));
  const manifest = { name: `@cni-ts/${project}`, version: '0.1.0', dependencies: versions };
  return {
    name: manifest.name,
    project,
    layer,
    manifest,
    path: `packages/${project}`,
    folder: join(workspaceRoot, 'packages', project),
  };
}

const bridge = pretend('bridge', 'plugin', ['@cni-ts/ptp', '@cni-ts/libc', '@cni-ts/testing']);
const address = pretend('address', 'pure', ['@cni-ts/libc']);
const libc = pretend('libc', 'kernel');
const all = [bridge, address, libc, pretend('ptp', 'plugin'), pretend('testing', 'testing')];

function said(one: Package, specifier: string, file = 'src/a.ts'): string {
  return violations(all, (other) => (other === one ? [{ file, specifier }] : [])).join('\n');
}

test.for([
  [bridge, '@cni-ts/ptp/ptp', 'what two plugins need belongs into a kit'],
  [bridge, '@cni-ts/skeleton/plugin', 'declare @cni-ts/skeleton in the dependencies'],
  [bridge, 'zod/mini', 'declare zod in the dependencies'],
  [bridge, '@cni-ts/testing/call', 'is for *.test.ts files'],
  [bridge, '../../libc/src/netns.ts', 'a relative path must stay in its package'],
  [bridge, 'node:ffi', 'only packages/libc/src/internal calls into C'],
  [bridge, 'node:fs', 'use @cni-ts/libc/file'],
  [libc, 'node:ffi', 'only packages/libc/src/internal calls into C'],
  [address, '@cni-ts/libc/netns', 'let the caller pass in what touches the machine'],
] as const)('no import against the layers: %#', ([one, specifier, sentence]) => {
  expect(said(one, specifier)).toContain(sentence);
});

test.for([
  [bridge, '@cni-ts/libc/netns', 'src/a.ts'],
  [bridge, '@cni-ts/testing/call', 'src/a.test.ts'],
  [bridge, './vlan.ts', 'src/a.ts'],
  [bridge, 'node:fs', 'src/a.test.ts'],
  [libc, 'node:ffi', 'src/internal/calls.ts'],
] as const)('an import along the layers: %#', ([one, specifier, file]) => {
  expect(said(one, specifier, file)).toBe('');
});
