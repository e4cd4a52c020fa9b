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

/** What is said about these imports, each `file: specifier`, of packages by their project's name. */
function saidOf(imports: Readonly<Record<string, readonly string[]>>): string[] {
  return violations(all, ({ project }) =>
    (imports[project] ?? []).map((one) => {
      const [file = '', specifier = ''] = one.split(': ');
      return { file, specifier };
    }),
  );
}

test.for([
  [['src/a.ts: ./b.ts', 'src/b.ts: ./a.ts'], 'src/a.ts → packages/libc/src/b.ts → packages/libc/src/a.ts'],
  [
    ['src/a.ts: ./in/b.ts', 'src/in/b.ts: @cni-ts/libc/c', 'src/c.ts: ./a.ts', 'src/c.ts: ./d.ts'],
    'src/a.ts → packages/libc/src/in/b.ts → packages/libc/src/c.ts → packages/libc/src/a.ts',
  ],
] as const)('no files that import each other in a circle: %#', ([imports, circle]) => {
  expect(saidOf({ libc: imports })).toEqual([
    `packages/libc/${circle} is a circle of imports: move what they need of each other, often a type alone, to a file of its own that imports none of them`,
  ]);
});

test('no packages that import each other in a circle, tests of theirs included', () => {
  const said = saidOf({
    bridge: ['src/a.ts: @cni-ts/libc/netns'],
    libc: ['src/a.test.ts: @cni-ts/testing/call'],
    testing: ['src/call.ts: @cni-ts/bridge/bridge'],
  });
  expect(said.filter((one) => one.includes('circle'))).toEqual([
    '@cni-ts/bridge → @cni-ts/libc → @cni-ts/testing → @cni-ts/bridge is a circle of packages: move what both need to a package below them, and a test that needs the upper one into the upper one',
  ]);
});

test('files that import the same one are no circle', () => {
  const imports = ['src/a.ts: ./b.ts', 'src/a.ts: ./c.ts', 'src/b.ts: ./d.ts', 'src/c.ts: ./d.ts'];
  expect(saidOf({ libc: imports })).toEqual([]);
});
