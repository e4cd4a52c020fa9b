import { expect, test } from 'vitest';
import { linkOwner } from './link-owner.ts';
import { type Owner, ownerComment, ownerMark } from './owner-comment.ts';
import { isSaid, ownerOf } from './owner-of.ts';

const owner: Owner = { network: 'web', containerId: 'c1', ifname: 'eth0' };
const another: Owner = { ...owner, containerId: 'c2' };

test.each<[kind: string, text: string, said: object]>([
  ['alias of a link', linkOwner(owner, 'bridge'), { ...owner, plugin: 'bridge' }],
  [
    'alias with the configuration it was made by',
    'cni:1 net=web id=c1 if=eth0 plugin=bridge cfg=0a1b2c3d',
    { ...owner, plugin: 'bridge', config: '0a1b2c3d' },
  ],
  ['comment of a rule in nftables', ownerComment(owner), { ...owner, mark: ownerMark(owner) }],
  [
    "comment of portmap's, without the container",
    `${ownerMark(owner)}, net: web, if: eth0`,
    { network: 'web', ifname: 'eth0', mark: ownerMark(owner) },
  ],
  ['mark alone', ownerMark(owner), { mark: ownerMark(owner) }],
  ['comment of the reference in iptables', 'name: "web" id: "c1"', { network: 'web', containerId: 'c1' }],
  [
    "comment of portmap's in iptables",
    'dnat name: "web" id: "c1"',
    { network: 'web', containerId: 'c1', plugin: 'portmap' },
  ],
  [
    'one that was cut',
    'dnat name: "web" id: "c123..',
    { network: 'web', containerId: 'c123', plugin: 'portmap', cut: true },
  ],
  ['spoof check', 'macspoofchk-c1-eth0', { containerId: 'c1', ifname: 'eth0', plugin: 'bridge' }],
  [
    "spoof check's second chain",
    'cni-br-iface-a-b-eth0-mac',
    { containerId: 'a-b', ifname: 'eth0', plugin: 'bridge' },
  ],
  [
    "spoof check's chain of a taken name",
    `cni-br-iface-${ownerMark(owner)}`,
    { mark: ownerMark(owner), plugin: 'bridge' },
  ],
  ["comment of portmap's chain", 'if: net1', { ifname: 'net1', plugin: 'portmap' }],
])('%s: what it tells is read', (_kind, text, said) => {
  expect(ownerOf(text)).toEqual(said);
});

test.each([
  '',
  'uplink to rack 7',
  'KUBE-SVC-ABC',
  'CNI-DN-0123456789abcdef01234',
  'kubernetes forwarding rules',
])('%j says nothing', (text) => {
  expect(ownerOf(text)).toBeUndefined();
});

test('a text fits its attachment and no other, also where names were cut or are hashes', () => {
  const long: Owner = { network: 'n'.repeat(100), containerId: 'c'.repeat(100), ifname: 'eth0' };
  const near: Owner = { ...long, containerId: `${long.containerId}d` };
  for (const text of [linkOwner(long, 'ptp'), ownerComment(long)]) {
    const said = ownerOf(text)!;
    expect(isSaid(said, long)).toBe(true);
    expect(isSaid(said, near)).toBe(false);
  }
  for (const text of [
    linkOwner(owner, 'ptp'),
    ownerComment(owner),
    'name: "web" id: "c1"',
    'name: "web" id: "c1',
  ]) {
    expect(isSaid(ownerOf(text)!, owner)).toBe(true);
    expect(isSaid(ownerOf(text)!, another)).toBe(false);
  }
});
