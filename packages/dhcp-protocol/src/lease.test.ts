import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './hex.ts';
import { leaseResult4, leaseResult6 } from './lease.ts';
import { type Lease4, leaseOf4, leaseOption4, sameOptions4 } from './lease4.ts';
import { iaOf6, type Lease6, leaseOf6, usableAddress6 } from './lease6.ts';
import type { Message4 } from './message4.ts';
import { type OptionName4, type OptionValues4, type RawOptions4, writeOption4 } from './options4.ts';

type Given = Partial<OptionValues4> & { raw?: Record<number, string> };

function ack({ raw = {}, ...values }: Given, yiaddr = '192.168.7.50'): Message4 {
  const options: RawOptions4 = new Map();
  for (const name of Object.keys(values) as OptionName4[]) writeOption4(options, name, values[name]!);
  for (const [code, hex] of Object.entries(raw)) options.set(Number(code), fromHex(hex)!);
  const none = '0.0.0.0';
  const chaddr = new Uint8Array(6);
  const head = { op: 2, htype: 1, hops: 0, xid: 1, secs: 0, flags: 0, sname: '', file: '', chaddr };
  return { ...head, ciaddr: none, yiaddr, siaddr: none, giaddr: none, options };
}

function lease(given: Given, yiaddr?: string): Lease4 {
  const found = leaseOf4(ack(given, yiaddr), 1000, undefined);
  if (found === undefined) throw new Error('no lease');
  return found;
}

const mask = { subnetMask: '255.255.255.0' };

describe('times of a lease', () => {
  const seconds = ({ renewAt, rebindAt, expiresAt }: Lease4) =>
    [renewAt, rebindAt, expiresAt].map((time) => time && (time - 1000) / 1000);
  test.each<[string, Given, (number | undefined)[]]>([
    ['missing T1 and T2 are a half and seven eighths', { leaseTime: 80 }, [40, 70, 80]],
    [
      'those that are given count (dhcp 21)',
      { leaseTime: 100, renewalTime: 2, rebindingTime: 3 },
      [2, 3, 100],
    ],
    ['no lease time is an hour', {}, [1800, 3150, 3600]],
    ['for ever is without an end', { leaseTime: 0xffffffff }, [undefined, undefined, undefined]],
    [
      'for ever whatever T1 says',
      { leaseTime: 0xffffffff, renewalTime: 5 },
      [undefined, undefined, undefined],
    ],
    ['T1 after T2 is neither', { leaseTime: 80, renewalTime: 60, rebindingTime: 50 }, [40, 70, 80]],
    ['T1 of 0 is none', { leaseTime: 80, renewalTime: 0 }, [40, 70, 80]],
    ['T1 beyond the lease is none', { leaseTime: 80, renewalTime: 90, rebindingTime: 95 }, [40, 70, 80]],
    ['T1 alone pushes T2', { leaseTime: 80, renewalTime: 75 }, [75, 75, 80]],
    ['T2 alone pulls T1', { leaseTime: 80, rebindingTime: 30 }, [30, 30, 80]],
    [
      'infinite T1 and T2 of a finite lease are none',
      { leaseTime: 80, renewalTime: 0xffffffff, rebindingTime: 0xffffffff },
      [40, 70, 80],
    ],
    ['a malformed one is missing', { leaseTime: 80, raw: { 58: '0001' } }, [40, 70, 80]],
  ])('%s', (_, given, expected) => {
    expect(seconds(lease(given))).toEqual(expected);
  });

  test('an ACK without an address, or for no time, is no lease', () => {
    expect(leaseOf4(ack({ leaseTime: 60 }, '0.0.0.0'), 0, undefined)).toBeUndefined();
    expect(leaseOf4(ack({ leaseTime: 0 }), 0, undefined)).toBeUndefined();
  });
});

describe('a lease', () => {
  test('is what a text of JSON gives back', () => {
    const one = lease({ ...mask, leaseTime: 60, serverId: '10.0.0.1', routers: ['10.0.0.1'] });
    expect(JSON.parse(JSON.stringify(one))).toEqual(one);
    expect(leaseOption4(one, 'routers')).toEqual(['10.0.0.1']);
    expect(leaseOption4(one, 'mtu')).toBeUndefined();
  });

  test('differs from another in what is of the network, not in what is of the exchange', () => {
    const one = lease({ ...mask, leaseTime: 60, serverId: '10.0.0.1' });
    expect(sameOptions4(one, lease({ ...mask, leaseTime: 90, renewalTime: 9, serverId: '10.0.0.2' }))).toBe(
      true,
    );
    expect(sameOptions4(one, lease({ ...mask, routers: ['10.0.0.1'] }))).toBe(false);
  });
});

describe('the result of DHCPv4', () => {
  test('has address, gateway, default route (dhcp 1)', () => {
    expect(leaseResult4(lease({ ...mask, routers: ['192.168.7.1', '192.168.7.2'] }))).toEqual({
      ip: { address: '192.168.7.50/24', gateway: '192.168.7.1' },
      routes: [{ dst: '0.0.0.0/0', gw: '192.168.7.1' }],
    });
  });

  test('without router, or with a malformed one, has neither (dhcp 17)', () => {
    const expected = { ip: { address: '192.168.7.50/24' }, routes: [] };
    expect(leaseResult4(lease(mask))).toEqual(expected);
    expect(leaseResult4(lease({ ...mask, raw: { 3: 'c0a807' } }))).toEqual(expected);
  });

  test('without mask, or with a malformed one, is refused, or has that of the class (dhcp 17)', () => {
    for (const one of [lease({}), lease({ raw: { 1: 'ffff' } })]) {
      expect(() => leaseResult4(one)).toThrow('DHCP option Subnet Mask not found in DHCPACK');
      expect(leaseResult4(one, { classMask: true }).ip.address).toBe('192.168.7.50/24');
    }
    expect(leaseResult4(lease({}, '10.1.1.1'), { classMask: true }).ip.address).toBe('10.1.1.1/8');
    expect(leaseResult4(lease({}, '172.16.1.1'), { classMask: true }).ip.address).toBe('172.16.1.1/16');
  });

  test.each([
    ['255.255.255.255', '32'],
    ['0.0.0.0', '0'],
    ['255.255.128.0', '17'],
    ['255.0.255.0', 'ff00ff00'],
  ])('the mask %s is /%s', (subnetMask, prefix) => {
    expect(leaseResult4(lease({ subnetMask })).ip.address).toBe(`192.168.7.50/${prefix}`);
  });

  test('the priority goes to every route (dhcp 3)', () => {
    const one = lease({ ...mask, routers: ['192.168.7.1'], raw: { 33: '0a000000c0a80701' } });
    expect(leaseResult4(one, { priority: 77 }).routes).toEqual([
      { dst: '10.0.0.0/8', gw: '192.168.7.1', priority: 77 },
      { dst: '0.0.0.0/0', gw: '192.168.7.1', priority: 77 },
    ]);
    expect(leaseResult4(one, { priority: 0 }).routes[0]).toEqual({ dst: '10.0.0.0/8', gw: '192.168.7.1' });
  });

  const classless = [
    { destination: '0.0.0.0/0', gateway: '10.0.0.1' },
    { destination: '10.0.0.1/32', gateway: '0.0.0.0' },
  ];
  const asRoutes = [
    { dst: '10.0.0.1/32', gw: '0.0.0.0', scope: 253 },
    { dst: '0.0.0.0/0', gw: '10.0.0.1' },
  ];

  test('option 121 stands for 33 and the router’s route, and the gateway stays (dhcp 15)', () => {
    const given = { ...mask, routers: ['10.0.0.9'], raw: { 33: '0a000000c0a80701' } };
    const result = leaseResult4(lease({ ...given, classlessRoutes: classless }));
    expect(result.ip.gateway).toBe('10.0.0.9');
    expect(result.routes).toEqual(asRoutes);
  });

  test('on-link routes come first, in whatever order the server sent them (dhcp trap 14)', () => {
    for (const list of [classless, classless.toReversed()]) {
      expect(leaseResult4(lease({ ...mask, classlessRoutes: list })).routes).toEqual(asRoutes);
    }
  });

  test('option 249 stands for 121 where that is absent, and not where it is there (dhcp trap 15)', () => {
    const other = [{ destination: '10.5.0.0/16', gateway: '10.0.0.5' }];
    expect(leaseResult4(lease({ ...mask, classlessRoutesMicrosoft: classless })).routes).toEqual(asRoutes);
    expect(
      leaseResult4(lease({ ...mask, classlessRoutes: classless, classlessRoutesMicrosoft: other })).routes,
    ).toEqual(asRoutes);
  });

  test.each([
    ['a prefix of 33', '210a01020304c0a80701'],
    ['truncated', '180a0102c0'],
    ['empty', ''],
  ])('option 121 that is malformed counts as absent: %s (dhcp 16)', (_, hex) => {
    const given = { ...mask, routers: ['192.168.7.1'], raw: { 121: hex, 33: '0a000000c0a80702' } };
    expect(leaseResult4(lease(given)).routes).toEqual([
      { dst: '10.0.0.0/8', gw: '192.168.7.2' },
      { dst: '0.0.0.0/0', gw: '192.168.7.1' },
    ]);
  });

  test('has DNS, MTU and NTP where the server sent them (dhcp trap 16)', () => {
    const given: Given = {
      ...mask,
      dnsServers: ['192.168.7.1', '0.0.0.0'],
      domainName: 'example.org.',
      domainSearch: ['a.example.org', 'example.org'],
      mtu: 1400,
      ntpServers: ['192.168.7.3'],
    };
    expect(leaseResult4(lease(given))).toMatchObject({
      dns: { nameservers: ['192.168.7.1'], domain: 'example.org', search: ['a.example.org', 'example.org'] },
      mtu: 1400,
      ntp: ['192.168.7.3'],
    });
  });

  test.each([
    ['a length that is no multiple of 4', { raw: { 6: '0808080808' } }],
    ['a domain that no resolver may get', { domainName: 'a\nnameserver' }],
    ['an MTU below 68', { mtu: 67 }],
    ['an MTU of 4 bytes', { raw: { 26: '00000578' } }],
  ])('has nothing of %s (dhcp trap 16)', (_, given) => {
    const { dns, mtu } = leaseResult4(lease({ ...mask, ...given }));
    expect([dns, mtu]).toEqual([undefined, undefined]);
  });

  test('a search list in the domain’s place is one', () => {
    expect(leaseResult4(lease({ ...mask, domainName: 'a.org b.org' })).dns).toEqual({
      domain: 'a.org',
      search: ['a.org', 'b.org'],
    });
  });
});

describe('the result of DHCPv6', () => {
  const one: Lease6 = {
    address: '2001:db8::5',
    serverId: '0001',
    since: 0,
    dns: ['2001:db8::53'],
    search: ['example.org'],
    ntp: ['2001:db8::7b'],
  };

  test('is an address by itself where no router advertised a prefix', () => {
    expect(leaseResult6({ ...one, dns: [], search: [], ntp: [] })).toEqual({
      ip: { address: '2001:db8::5/128' },
      routes: [],
    });
  });

  test('has what the router and the server said', () => {
    expect(leaseResult6(one, { prefix: 64, gateway: 'fe80::1', mtu: 1400, priority: 9 })).toEqual({
      ip: { address: '2001:db8::5/64', gateway: 'fe80::1' },
      routes: [{ dst: '::/0', gw: 'fe80::1', priority: 9 }],
      dns: { nameservers: ['2001:db8::53'], search: ['example.org'] },
      mtu: 1400,
      ntp: ['2001:db8::7b'],
    });
  });

  test('has the router’s DNS where the server has none, and no MTU that IPv6 forbids', () => {
    const result = leaseResult6(
      { ...one, dns: [], search: [] },
      { dns: { nameservers: ['fe80::1'] }, mtu: 1279 },
    );
    expect([result.dns, result.mtu]).toEqual([{ nameservers: ['fe80::1'] }, undefined]);
  });
});

describe('times of a DHCPv6 lease', () => {
  const ever = 0xffffffff;
  test.each([
    ['T1 and T2 of the server count', [60, 90, 100, 120], [60, 90, 100, 120]],
    ['0 leaves them to us: 0.5 and 0.8 of the preferred lifetime', [0, 0, 100, 120], [50, 80, 100, 120]],
    ['of the valid one where the address is deprecated', [0, 0, 0, 100], [50, 80, 0, 100]],
    ['for ever is without an end', [0, 0, ever, ever], [undefined, undefined, undefined, undefined]],
    ['T2 beyond the address’s life is not taken', [50, 500, 100, 100], [50, 80, 100, 100]],
    ['nor T1', [400, 500, 100, 100], [50, 80, 100, 100]],
    ['never to renew what ends is not taken', [ever, ever, 100, 100], [50, 80, 100, 100]],
  ])('%s', (_, [t1, t2, preferred, valid], expected) => {
    const address = { address: '2001:db8::1', preferred: preferred!, valid: valid! };
    const ia = { iaid: 1, t1: t1!, t2: t2!, addresses: [address] };
    const got = leaseOf6(ia, address, 1000, { serverId: Uint8Array.of(1) });
    const times = [got.renewAt, got.rebindAt, got.preferredUntil, got.expiresAt];
    expect(times.map((time) => time && (time - 1000) / 1000)).toEqual(expected);
    expect(got.serverId).toBe(toHex(Uint8Array.of(1)));
  });

  test('T1 after T2, and a preferred lifetime above the valid one, are not looked at', () => {
    const good = { address: '2001:db8::1', preferred: 1, valid: 2 };
    const ia = { iaid: 1, t1: 9, t2: 8, addresses: [good] };
    expect(iaOf6({ ia: [ia] }, 1)).toBeUndefined();
    expect(iaOf6({ ia: [{ ...ia, t2: 0 }] }, 1)).toBeDefined();
    const bad = { address: '2001:db8::2', preferred: 3, valid: 2 };
    const refused = { address: '2001:db8::3', preferred: 1, valid: 2, status: { code: 2, message: '' } };
    expect(usableAddress6({ ...ia, addresses: [bad, refused, good] }, '2001:db8::2')).toBe(good);
  });
});
