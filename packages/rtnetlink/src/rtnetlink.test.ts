import { spawnSync } from 'node:child_process';
import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';
import { Netns } from '@cni-ts/libc/netns';
import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import { Writer } from '@cni-ts/netlink/writer';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addAddress, addressFlags, deleteAddress, listAddresses } from './address.ts';
import { bridgePortOf, setBridgePort } from './bridge-port.ts';
import { changeLink } from './change-link.ts';
import {
  createLink,
  deleteLink,
  findLink,
  findLinkByIndex,
  getLink,
  IFF_PROMISC,
  IFF_UP,
  linkMessage,
  listLinks,
  renameLink,
  setDown,
  setMac,
  setMaster,
  setMtu,
  setPromisc,
  setTxQueueLength,
  setUp,
} from './link.ts';
import { addRoute, deleteRoute, listRoutes } from './route.ts';
import { knowsUpperKind } from './upper-kind.ts';

let host: Netns;
let container: Netns;
let nl: Netlink;
let inner: Netlink;

beforeEach(() => {
  host = Netns.create();
  container = Netns.create();
  nl = Netlink.open('route', host);
  inner = Netlink.open('route', container);
});
afterEach(() => {
  nl.close();
  inner.close();
  host.close();
  container.close();
});

/** The kernel's state through another program's eyes. */
function ip(netns: Netns, ...args: string[]): Record<string, unknown>[] {
  return netns.run(() => {
    const { stdout, stderr, status } = spawnSync('ip', ['-j', '-d', ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim() ? JSON.parse(stdout) : [];
  });
}

function cidr(text: string) {
  const value = parseCidr(text);
  if (!value) throw new Error(text);
  return value;
}

function veth(mtu?: number) {
  createLink(inner, {
    name: 'eth0',
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    mtu,
    info: { kind: 'veth', data: { peer: { ifname: 'veth0', mtu, txQueueLength: 0, netnsFd: host.fd } } },
  });
  return { inside: getLink(inner, 'eth0'), outside: getLink(nl, 'veth0') };
}

describe('links', () => {
  test('a veth is born with one end in each namespace, named and addressed', () => {
    const { inside, outside } = veth(1400);
    expect(ip(container, 'link', 'show', 'eth0')[0]).toMatchObject({
      ifname: 'eth0',
      address: '02:00:00:00:00:01',
      mtu: 1400,
    });
    expect(ip(host, 'link', 'show', 'veth0')[0]).toMatchObject({
      ifname: 'veth0',
      mtu: 1400,
      linkinfo: { info_kind: 'veth' },
    });
    expect(inside.lower).toBe(outside.index);
    expect(outside.lower).toBe(inside.index);
    expect(outside.txQueueLength).toBe(0);
    expect(inside.txQueueLength).toBe(1000);
    expect(formatMac(inside.mac)).toBe('02:00:00:00:00:01');
  });

  test('a link that is not there is undefined, or an error with its name', () => {
    expect(findLink(nl, 'nope')).toBeUndefined();
    expect(findLinkByIndex(nl, 4711)).toBeUndefined();
    expect(findLink(nl, 'a-name-longer-than-fifteen')).toBeUndefined();
    expect(() => getLink(nl, 'nope')).toThrow('failed to lookup "nope": Link not found');
  });

  test('a taken name is EEXIST, a long one ERANGE, an unknown kind EOPNOTSUPP with the reason', () => {
    createLink(nl, { name: 'br0', info: { kind: 'bridge', data: {} } });
    expect(refusal(() => createLink(nl, { name: 'br0', info: { kind: 'bridge' } })).code).toBe('EEXIST');
    expect(refusal(() => createLink(nl, { name: 'abcdefghijklmnop', info: { kind: 'bridge' } })).code).toBe(
      'ERANGE',
    );
    const unknown = refusal(() => createLink(nl, { name: 'x', info: { kind: 'nosuchkind' } }));
    expect(unknown.code).toBe('EOPNOTSUPP');
    expect(unknown.explanation).toBe('Unknown device type');
  });

  test('nothing is asked of the kernel for a link without an index, or under a name it would make up', () => {
    const none = { index: 0 };
    const refused = [
      () => setUp(nl, none),
      () => renameLink(nl, none, 'other'),
      () => deleteLink(nl, none),
      () => setMaster(nl, none, 1),
      () => setBridgePort(nl, none, { hairpin: 1 }),
      () => addAddress(nl, none, cidr('10.0.0.1/24')),
      () => deleteAddress(nl, none, cidr('10.0.0.1/24')),
      () => addRoute(nl, { dst: cidr('10.0.0.0/24'), link: none }),
      () => deleteRoute(nl, { dst: cidr('10.0.0.0/24'), link: none }),
      () => createLink(nl, { name: 'x', lower: 0, info: { kind: 'macvlan', data: { mode: 'bridge' } } }),
    ];
    for (const work of refused) expect(work).toThrow('no link has the index 0; the kernel was not asked');
    expect(findLinkByIndex(nl, 0)).toBeUndefined();
    for (const name of ['', 'br%d']) {
      const make = () => createLink(nl, { name, info: { kind: 'bridge', data: {} } });
      expect(make).toThrow(`"${name}" is no name for a link`);
    }
    expect(listLinks(nl).map(({ name }) => name)).toEqual(['lo']);
  });

  test('up, down, MTU, MAC, queue length, promiscuous mode and name are changed', () => {
    const { outside } = veth();
    setUp(nl, outside);
    setMtu(nl, outside, 1300);
    setMac(nl, outside, Uint8Array.of(2, 0, 0, 0, 0, 9));
    setTxQueueLength(nl, outside, 77);
    setPromisc(nl, outside, true);
    expect(ip(host, 'link', 'show', 'veth0')[0]).toMatchObject({
      mtu: 1300,
      address: '02:00:00:00:00:09',
      txqlen: 77,
      promiscuity: 1,
    });
    expect(getLink(nl, 'veth0').flags & IFF_UP).toBe(IFF_UP);
    expect(getLink(nl, 'veth0').flags & IFF_PROMISC).toBe(IFF_PROMISC);
    setPromisc(nl, outside, false);
    setDown(nl, outside);
    renameLink(nl, outside, 'other');
    expect(ip(host, 'link', 'show', 'other')[0]).toMatchObject({ operstate: 'DOWN', promiscuity: 0 });
  });

  test('deleting tells whether there was something to delete', () => {
    const { inside } = veth();
    expect(deleteLink(inner, inside)).toBe(true);
    expect(deleteLink(inner, inside)).toBe(false);
    expect(deleteLink(inner, 'eth0')).toBe(false);
    expect(listLinks(nl).map(({ name }) => name)).not.toContain('veth0');
  });

  test('a link is moved into another namespace', () => {
    const { outside } = veth();
    changeLink(nl, outside, { netnsFd: container.fd });
    expect(findLink(nl, 'veth0')).toBeUndefined();
    expect(getLink(inner, 'veth0').kind).toBe('veth');
  });

  test('a macvlan is created straight in the container, on top of a link of the host', () => {
    const { outside } = veth();
    createLink(nl, {
      name: 'mv0',
      lower: outside.index,
      netnsFd: container.fd,
      info: { kind: 'macvlan', data: { mode: 'bridge' } },
    });
    expect(ip(container, 'link', 'show', 'mv0')[0]).toMatchObject({
      linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
    });
    expect(getLink(inner, 'mv0').attributes.linkInfo?.data).toMatchObject({ mode: 'bridge' });
  });
});

describe('kinds that stand on another link', () => {
  test('whether the kernel knows one is told, and nothing is made', () => {
    expect(knowsUpperKind(nl, 'macvlan')).toBe(true);
    expect(knowsUpperKind(nl, 'nosuchkind' as 'vlan')).toBe(false); // reason: what a kernel without VLANs would say
    expect(listLinks(nl).map(({ name }) => name)).toEqual(['lo']);
  });

  test("an ipvlan's mode is always written, also l2, whose number is 0; a VLAN's protocol as Ethernet has it", () => {
    const of = (kind: 'ipvlan' | 'vlan', data: object) => {
      const to = new Writer();
      linkMessage.write(to, { linkInfo: { kind, data } });
      return Buffer.from(to.result()).toString('hex');
    };
    // struct nlattr { 6, 1 } and a u16, as `ip link add … type ipvlan mode l2` sends it; iproute2 6.1.
    expect(of('ipvlan', { mode: 'l2' })).toContain('0600010000000000');
    expect(of('ipvlan', { mode: 'l3s' })).toContain('0600010002000000');
    expect(of('vlan', { id: 5, protocol: '802.1ad' })).toMatch(/0600010005000000.*0600050088a80000/);
  });
});

describe('bridge ports', () => {
  test('hairpin and isolation are set on a port and read back', () => {
    createLink(nl, { name: 'br0', info: { kind: 'bridge', data: {} } });
    const { outside } = veth();
    setMaster(nl, outside, getLink(nl, 'br0').index);
    setBridgePort(nl, outside, { hairpin: 1, isolated: 1 });
    expect(ip(host, 'link', 'show', 'veth0')[0]).toMatchObject({
      master: 'br0',
      linkinfo: { info_slave_data: { hairpin: true, isolated: true } },
    });
    expect(bridgePortOf(getLink(nl, 'veth0'))).toMatchObject({ hairpin: 1, isolated: 1 });
    setMaster(nl, outside, 0);
    expect(bridgePortOf(getLink(nl, 'veth0'))).toBeUndefined();
  });
});

describe('addresses', () => {
  test('both families are added, listed in the kernel order and removed', () => {
    const { inside } = veth();
    addAddress(inner, inside, cidr('10.1.2.3/24'));
    addAddress(inner, inside, cidr('2001:db8::3/64'), addressFlags.nodad);
    const seen = ip(container, 'address', 'show', 'dev', 'eth0')[0]?.addr_info;
    expect(seen).toMatchObject([
      { local: '10.1.2.3', prefixlen: 24, broadcast: '10.1.2.255', scope: 'global' },
      { local: '2001:db8::3', prefixlen: 64, nodad: true },
    ]);
    expect(listAddresses(inner, inside).map(({ cidr: { prefix } }) => prefix)).toEqual([24, 64]);
    expect(deleteAddress(inner, inside, cidr('10.1.2.3/24'))).toBe(true);
    expect(deleteAddress(inner, inside, cidr('10.1.2.3/24'))).toBe(false);
    expect(listAddresses(inner, inside, 4)).toEqual([]);
  });

  test('a /31 has no broadcast address, and an address twice is EEXIST', () => {
    const { inside } = veth();
    addAddress(inner, inside, cidr('10.1.2.2/31'));
    const seen = ip(container, '-4', 'address', 'show', 'dev', 'eth0')[0]?.addr_info;
    expect(seen).not.toMatchObject([{ broadcast: expect.anything() }]);
    expect(refusal(() => addAddress(inner, inside, cidr('10.1.2.2/31'))).code).toBe('EEXIST');
  });

  test('addresses of other links are not listed', () => {
    const { inside, outside } = veth();
    addAddress(inner, inside, cidr('10.1.2.3/24'));
    addAddress(nl, outside, cidr('10.9.2.3/24'));
    expect(listAddresses(nl, outside, 4)).toHaveLength(1);
    setUp(inner, getLink(inner, 'lo'));
    expect(listAddresses(inner, inside, 4)).toHaveLength(1);
  });
});

describe('routes', () => {
  function ready() {
    const { inside, outside } = veth();
    setUp(nl, outside);
    addAddress(inner, inside, cidr('10.1.2.3/24'));
    addAddress(inner, inside, cidr('2001:db8::3/64'), addressFlags.nodad);
    setUp(inner, inside);
    return inside;
  }

  test('a route is added with gateway, metric, table and metrics as asked', () => {
    const link = ready();
    const gateway = parseIp('10.1.2.1');
    addRoute(inner, { dst: cidr('0.0.0.0/0'), gateway, link });
    addRoute(inner, {
      dst: cidr('10.5.0.0/16'),
      gateway,
      link,
      priority: 50,
      table: 5000,
      mtu: 1300,
      advmss: 1260,
    });
    addRoute(inner, { dst: cidr('::/0'), gateway: parseIp('2001:db8::1'), link });
    expect(ip(container, 'route', 'show', 'default')).toMatchObject([{ gateway: '10.1.2.1', dev: 'eth0' }]);
    const table = ip(container, 'route', 'show', 'table', '5000');
    expect(table).toMatchObject([{ dst: '10.5.0.0/16', metric: 50, metrics: [{ mtu: 1300, advmss: 1260 }] }]);
    expect(ip(container, '-6', 'route', 'show', 'default')).toMatchObject([{ gateway: '2001:db8::1' }]);
    const listed = listRoutes(inner, 4).filter(({ table: t }) => t === 5000);
    expect(listed).toMatchObject([{ priority: 50, mtu: 1300, advmss: 1260, dst: { prefix: 16 } }]);
  });

  test('the exact duplicate is EEXIST, host bits in the destination are EINVAL with the reason', () => {
    const link = ready();
    const route = { dst: cidr('10.5.0.0/16'), gateway: parseIp('10.1.2.1'), link };
    addRoute(inner, route);
    expect(refusal(() => addRoute(inner, route)).code).toBe('EEXIST');
    const hostBits = refusal(() => addRoute(inner, { ...route, dst: cidr('10.6.0.1/16') }));
    expect(hostBits.code).toBe('EINVAL');
    expect(hostBits.explanation).not.toBe('');
  });

  test('two IPv6 gateways for one destination read as one route with two hops', () => {
    const link = ready();
    addRoute(inner, { dst: cidr('2001:db8:5::/48'), gateway: parseIp('2001:db8::1'), link });
    addRoute(inner, { dst: cidr('2001:db8:5::/48'), gateway: parseIp('2001:db8::2'), link });
    const route = listRoutes(inner, 6).filter(({ dst }) => dst.prefix === 48);
    expect(route.flatMap(({ hops }) => hops.map(({ gateway }) => gateway?.bytes[15]))).toEqual([1, 2]);
  });

  test('deleting a route tells whether it was there', () => {
    const link = ready();
    const route = { dst: cidr('10.5.0.0/16'), gateway: parseIp('10.1.2.1'), link };
    addRoute(inner, route);
    expect(deleteRoute(inner, { dst: route.dst, link })).toBe(true);
    expect(deleteRoute(inner, { dst: route.dst, link })).toBe(false);
  });
});

test('an error says which call failed, its errno by name, and the usual words for it', () => {
  const error = refusal(() => createLink(nl, { name: 'lo', info: { kind: 'bridge' } }));
  expect([error.call, errnoOf(error), error.message]).toEqual(['RTM_NEWLINK', 'EEXIST', 'file exists']);
});

function refusal(work: () => void): SyscallError {
  try {
    work();
  } catch (error) {
    if (error instanceof SyscallError) return error;
    throw error;
  }
  throw new Error('the kernel did not refuse');
}
