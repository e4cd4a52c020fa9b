import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Each kind of link that made us bring a kernel of our own, with what it takes to make one. */
const kinds = [
  { kind: 'dummy', add: ['name', 'lower', 'type', 'dummy'] },
  { kind: 'vlan', add: ['link', 'lower', 'name', 'a-vlan', 'type', 'vlan', 'id', '5'] },
  { kind: 'ipvlan', add: ['link', 'lower', 'name', 'an-ipvlan', 'type', 'ipvlan'] },
  { kind: 'vrf', add: ['name', 'a-vrf', 'type', 'vrf', 'table', '10'] },
  { kind: 'bridge', add: ['name', 'a-bridge', 'type', 'bridge', 'vlan_filtering', '1'] },
];

test.for(kinds)('user-mode Linux makes links of kind $kind', ({ kind, add }) => {
  execFileSync('ip', ['link', 'add', ...add]);

  const links = execFileSync('ip', ['-j', 'link', 'show', 'type', kind], { encoding: 'utf8' });
  expect(JSON.parse(links)).toHaveLength(1);
});
