import { specVersions } from '@cni-ts/spec/released-versions';
import { expect, test } from 'vitest';
import { calledAs, findPlugin, isPlugin, pluginNames, toolNames, unknownName } from './called-as.ts';
import { registry } from './registry.ts';
import { survivingName } from './surviving-name.ts';

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
  const { msg, details } = unknownName('brigde', toolNames());
  expect(msg).toBe('"brigde" does not say which plugin this is');
  expect(details).toMatch(/ bridge, .*cnitool;/);
  expect(unknownName('brigde', pluginNames()).details).toMatch(/ bridge, .*vrf;/);
  expect(unknownName('cnitool', pluginNames()).msg).toBe(
    'this program has the plugins only, and cnitool is another',
  );
});

/** A program called so, with these links and this mark in its file. */
const called = (argv0: string, links: Record<string, string> = {}, mark = '') =>
  survivingName(argv0, toolNames(), { readLink: (path) => links[path], mark: () => mark });

test.each([
  ['/opt/cni/bin/cnv-bridge', 'bridge'],
  ['/opt/cni/bin/bridge.real', 'bridge'],
  ['bridge-v1', 'bridge'],
  ['/x/old_Host-Local.bak', 'host-local'],
  ['cni-ts-static', 'static'],
  ['my.cnitool', 'cnitool'],
])('called as %s it is %s', (argv0, name) => {
  expect(called(argv0)).toBe(name);
});

test.each(['brigde', 'bridges', 'mybridge', 'toString', 'bridge-or-tuning', '', 'local'])(
  'called as %s it could be anything',
  (argv0) => {
    expect(called(argv0)).toBeUndefined();
  },
);

test('what the name is a link to tells where the name does not, over as many links as there are', () => {
  const links = { '/bin/net1': 'net2', '/bin/net2': '/opt/cni-ts/cnv-ptp' };
  expect(called('/bin/net1', links)).toBe('ptp');
  expect(called('/bin/bridge-or-ptp', { '/bin/bridge-or-ptp': '/opt/bridge' })).toBe('bridge');
  expect(called('net1', { '/proc/self/exe': '/opt/cni/bin/vrf/bridge (deleted)' })).toBe('bridge');
  expect(called('/a', { '/a': '/a' })).toBeUndefined();
});

test('what was written into the file tells where nothing else does', () => {
  expect(called('/bin/net1', {}, 'firewall')).toBe('firewall');
  expect(called('/bin/net1', { '/bin/net1': 'portmap' }, 'firewall')).toBe('portmap');
  expect(called('/bin/net1', {}, 'nothing of ours')).toBeUndefined();
});

test('the plugins’ program takes no name for the tool’s', () => {
  const traces = { readLink: () => undefined, mark: () => 'cnitool' };
  expect(survivingName('my.cnitool', pluginNames(), traces)).toBeUndefined();
});
