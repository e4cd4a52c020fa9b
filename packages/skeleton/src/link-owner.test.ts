import { expect, test } from 'vitest';
import { isOwnedBy, isStale, linkOwner, namesAnother, readLinkOwner } from './link-owner.ts';

const owner = { network: 'web', containerId: 'c1', ifname: 'eth0' };

test('an alias tells network, container, interface and plugin, and is read back', () => {
  const alias = linkOwner(owner, 'bridge');
  expect(alias).toBe('cni:1 net=web id=c1 if=eth0 plugin=bridge');
  expect(readLinkOwner(alias)).toEqual({ ...owner, plugin: 'bridge' });
  expect(readLinkOwner('uplink to rack 7')).toBeUndefined();
});

test('names of any length fit into what the kernel keeps, and stay apart', () => {
  const long = (last: string) => ({
    network: 'n'.repeat(300),
    containerId: 'c'.repeat(300) + last,
    ifname: 'eth0',
  });
  const alias = linkOwner(long('1'), 'bandwidth');
  expect(alias.length).toBeLessThanOrEqual(255);
  expect(alias.endsWith(' plugin=bandwidth')).toBe(true);
  expect(isOwnedBy(alias, long('1'), 'bandwidth')).toBe(true);
  expect(isOwnedBy(alias, long('2'), 'bandwidth')).toBe(false);
});

test('names that run together are different owners', () => {
  const alias = linkOwner({ network: 'net1', containerId: '1abc', ifname: 'eth0' }, 'bridge');
  expect(isOwnedBy(alias, { network: 'net11', containerId: 'abc', ifname: 'eth0' }, 'bridge')).toBe(false);
});

test('stale is what the plugin made in this network for an attachment that is not valid', () => {
  const alias = linkOwner(owner, 'bridge');
  expect(isStale(alias, 'web', 'bridge', [])).toBe(true);
  expect(isStale(alias, 'web', 'bridge', [owner])).toBe(false);
  expect(isStale(alias, 'web', 'bridge', [{ containerId: 'c1', ifname: 'net1' }])).toBe(true);
  expect(isStale(alias, 'web', 'ptp', [])).toBe(false);
  expect(isStale(alias, 'other', 'bridge', [])).toBe(false);
  expect(isStale('', 'web', 'bridge', [])).toBe(false);
});

test('another is named by whatever is not the same, and not by who made the link', () => {
  const alias = linkOwner(owner, 'bridge');
  expect(namesAnother(alias, owner)).toBe(false);
  expect(namesAnother(alias, { ...owner, containerId: 'c2' })).toBe(true);
  expect(namesAnother('uplink', owner)).toBe(false);
});
