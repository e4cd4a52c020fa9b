import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Each kind of link that made us bring a kernel of our own, with what it takes to make one. */
const kinds = [
  { kind: 'dummy', name: 'lower', add: ['name', 'lower', 'type', 'dummy'] },
  { kind: 'vlan', name: 'a-vlan', add: ['link', 'lower', 'name', 'a-vlan', 'type', 'vlan', 'id', '5'] },
  { kind: 'ipvlan', name: 'an-ipvlan', add: ['link', 'lower', 'name', 'an-ipvlan', 'type', 'ipvlan'] },
  { kind: 'vrf', name: 'a-vrf', add: ['name', 'a-vrf', 'type', 'vrf', 'table', '10'] },
  { kind: 'bridge', name: 'a-bridge', add: ['name', 'a-bridge', 'type', 'bridge', 'vlan_filtering', '1'] },
];

test.for(kinds)('user-mode Linux makes links of kind $kind', ({ kind, name, add }) => {
  execFileSync('ip', ['link', 'add', ...add]);

  const links = execFileSync('ip', ['-j', 'link', 'show', 'type', kind], { encoding: 'utf8' });
  // Some systems load the module of dummy with a first link already there.
  expect(JSON.parse(links).map(({ ifname }: { ifname: string }) => ifname)).toContain(name);
});
