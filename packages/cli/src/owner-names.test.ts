import { hashedName } from '@cni-ts/libc/name-hash';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import { type Owner, ownerComment } from '@cni-ts/skeleton/owner-comment';
import { expect, test } from 'vitest';
import { ownerAmong } from './owner-names.ts';

const owner: Owner = { network: 'web', containerId: 'c'.repeat(64), ifname: 'eth0' };
const second: Owner = { ...owner, ifname: 'net1' };
const known: Owner[] = [{ network: 'web', containerId: 'c1', ifname: 'eth0' }, second, owner];
const container = { network: 'web', containerId: owner.containerId };

test.each<[what: string, text: string, said: object]>([
  ['the alias of a link', linkOwner(owner, 'bridge'), { ...owner, plugin: 'bridge' }],
  ['a comment', ownerComment(owner), owner],
  ['a comment that was cut', ownerComment({ ...owner, network: 'web' }).slice(0, 80), owner],
  ["the reference's comment", `name: "web" id: "${owner.containerId}"`, container],
  ["a masquerade's chain", hashedName(28, 'CNI-', `web${owner.containerId}`), container],
  // The reference's chain of net1 has the same name.
  [
    "portmap's chain",
    hashedName(28, 'CNI-DN-', `web${owner.containerId}`),
    { ...container, plugin: 'portmap' },
  ],
  [
    "portmap's chain in nftables",
    `dnat-${hashedName(16, '', owner.containerId)}`,
    { ...container, plugin: 'portmap' },
  ],
  ['an ifb', hashedName(15, 'bwp', `web${owner.containerId}:net1`), { ...second, plugin: 'bandwidth' }],
])('%s is found to be whose it is', (_what, text, said) => {
  const { mark: _mark, ...found } = { mark: '', ...ownerAmong(text, known) };
  expect(found).toEqual(said);
});

test("what no attachment that is known makes is nobody's, or says what it says", () => {
  expect(ownerAmong('CNI-DN-0123456789abcdef01234', known)).toBeUndefined();
  expect(ownerAmong('name: "db" id: "x"', known)).toEqual({ network: 'db', containerId: 'x' });
});
