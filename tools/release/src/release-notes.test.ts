import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { pluginVersion } from '@cni-ts/skeleton/plugin';
import { expect, test } from 'vitest';
import { packedPackages } from './node-packages.ts';
import { currentRelease } from './release-notes.ts';

test('the date of a release is that of its version in the list of changes', () => {
  const changelog = '# Changes\n\n## 1.2.3 (2027-01-02)\n\nNew.\n\n## 1.2.0 (2026-12-31)\n';
  expect(currentRelease('{ "version": "1.2.3" }', changelog)).toEqual({
    version: '1.2.3',
    date: Date.UTC(2027, 0, 2) / 1000,
  });
});

test.each(['## 1.2.0 (2026-12-31)', '## 1.2.3', '## 1.2.3 (soon)', '## 1.2.3 (2026-13-01)'])(
  'a version that has none there is not packed: %s',
  (heading) => {
    expect(() => currentRelease('{ "version": "1.2.3" }', heading)).toThrow(
      'CHANGELOG.md needs a line "## 1.2.3 (‹year›-‹month›-‹day›)": what is packed has that date',
    );
  },
);

test('this one has one version everywhere, and a date', () => {
  const { version } = currentRelease();
  expect(pluginVersion).toBe(version);
  expect(JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8')).version).toBe(version);
  expect(packages().filter(({ manifest }) => manifest.version !== version)).toEqual([]);
});

test('a package that others install comes after all that it needs', () => {
  const names = packedPackages().map(({ name }) => name);
  for (const { name, manifest } of packedPackages()) {
    const needed = Object.keys(manifest.dependencies ?? {}).filter((one) => one.startsWith('@cni-ts/'));
    for (const one of needed)
      expect(names.indexOf(one), `${one} of ${name}`).toBeLessThan(names.indexOf(name));
    expect(names).toEqual(expect.arrayContaining(needed));
  }
});
