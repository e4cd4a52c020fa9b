import { specVersions } from '@cni-ts/skeleton/released-versions';
import { expect, test } from 'vitest';
import { calledAs, findPlugin, isPlugin, unknownName } from './called-as.ts';
import { registry } from './registry.ts';

test('the name is the last part of how the program was started', () => {
  expect([calledAs('/opt/cni/bin/bridge'), calledAs('bridge')]).toEqual(['bridge', 'bridge']);
});

test.each(Object.keys(registry))(
  '%s is the plugin it says, and speaks every spec version, as VERSION answers for all',
  (name) => {
    const plugin = findPlugin(name);
    expect(plugin?.type).toBe(name);
    expect(plugin?.versions).toEqual(specVersions);
  },
);

test('a name the program does not have is told the names it has', () => {
  expect(isPlugin('toString')).toBe(false);
  expect(unknownName('brigde')).toMatch(/^brigde: .* bridge, .*cnitool$/);
});
