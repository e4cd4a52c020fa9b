import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, type Call, TrialNetwork } from '../test/trial-network.ts';
import { hostLocalWith } from './host-local.ts';

const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const small = { ranges: [[{ subnet: '10.0.0.0/29' }]] };
const large = { ranges: [[{ subnet: '10.0.0.0/24' }]] };
const twoSets = { ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: '10.1.3.0/24' }]] };

/** Every case holds with an index and without: what an index knows must never show. */
describe.each(['without an index', 'with an index'])('%s', (mode) => {
  function network(ipam: Record<string, unknown>, rest: Record<string, unknown> = {}) {
    const net = new TrialNetwork(ipam, rest);
    onTestFinished(() => net[Symbol.dispose]());
    const plugin = hostLocalWith(mode === 'with an index' ? net.indexFolder : undefined);
    const call = (request: Call) => net.call(plugin, request);
    return Object.assign(net, {
      ask: call,
      add: (id?: string, args?: string) =>
        call({ command: 'ADD', ...(id !== undefined && { id }), ...(args !== undefined && { args }) }),
      del: (id?: string, ifname?: string) =>
        call({ command: 'DEL', ...(id !== undefined && { id }), ...(ifname !== undefined && { ifname }) }),
      check: (id?: string, ifname?: string) =>
        call({ command: 'CHECK', ...(id !== undefined && { id }), ...(ifname !== undefined && { ifname }) }),
    });
  }

  test('one address of each set, in files of the reference format (host-local 1)', async () => {
    const net = network({
      ranges: [[{ subnet: '10.1.2.0/24' }, { subnet: '10.2.2.0/24' }], [{ subnet: '2001:db8:1::/64' }]],
    });
    const added = await net.add('dummy');
    expect(added.json).toEqual({
      cniVersion: '1.0.0',
      ips: [
        { address: '10.1.2.2/24', gateway: '10.1.2.1' },
        { address: '2001:db8:1::2/64', gateway: '2001:db8:1::1' },
      ],
    });
    expect(net.read('10.1.2.2')).toBe('dummy\r\neth0');
    expect(net.read('2001:db8:1::2')).toBe('dummy\r\neth0');
    expect(net.read('last_reserved_ip.0')).toBe('10.1.2.2');
    expect(net.read('last_reserved_ip.1')).toBe('2001:db8:1::2');
    expect(net.read('lock')).toBe('');
  });

  test('the result has the shape of each spec version (host-local 2)', async () => {
    const net = network({
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: '2001:db8:1::/64' }]],
      routes: [
        { dst: '0.0.0.0/0', mtu: 1400 },
        { dst: '192.168.0.7/16', gw: '10.1.2.9' },
      ],
    });
    const texts: Record<string, string> = {};
    for (const version of versions) {
      net.rest = { cniVersion: version };
      texts[version] = (await net.add(`c${version}`)).stdout;
    }
    const old = JSON.parse(texts['0.2.0']!);
    expect(old.ip4).toEqual({
      ip: '10.1.2.3/24',
      gateway: '10.1.2.1',
      routes: [{ dst: '0.0.0.0/0' }, { dst: '192.168.0.7/16', gw: '10.1.2.9' }],
    });
    expect(old.ip6).toEqual({ ip: '2001:db8:1::3/64', gateway: '2001:db8:1::1' });
    for (const version of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0']) {
      expect(texts[version]).toContain('"dns": {}');
    }
    const middle = JSON.parse(texts['0.4.0']!);
    expect(middle.ips.map((ip: { version: string }) => ip.version)).toEqual(['4', '6']);
    expect(JSON.parse(texts['1.0.0']!)).toEqual({
      cniVersion: '1.0.0',
      ips: [
        { address: '10.1.2.7/24', gateway: '10.1.2.1' },
        { address: '2001:db8:1::7/64', gateway: '2001:db8:1::1' },
      ],
      routes: [
        { dst: '0.0.0.0/0', mtu: 1400 },
        { dst: '192.168.0.7/16', gw: '10.1.2.9' },
      ],
    });
    for (const version of versions) {
      expect(JSON.parse(texts[version]!).cniVersion).toBe(version);
      expect(texts[version]).toMatch(/^\{\n {4}"/);
      expect(texts[version]).not.toMatch(/\n$/);
    }
  });

  test('files and directories have the modes of the reference (host-local 3)', async () => {
    const net = network(large);
    await net.add();
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect(process.umask()).toBe(0o022);
    expect(mode(net.directory)).toBe('755');
    expect(mode(join(net.directory, '10.0.0.2'))).toBe('600');
    expect(mode(join(net.directory, 'last_reserved_ip.0'))).toBe('600');
    expect(mode(join(net.directory, 'lock'))).toBe('750');
  });

  test('a second ADD of the same attachment is refused and takes nothing away (host-local 4)', async () => {
    const net = network(large);
    await net.add();
    expect((await net.add()).json).toMatchObject({
      code: 999,
      msg: 'failed to allocate for range 0: 10.0.0.2 has been allocated to c1, duplicate allocation is not allowed',
    });
    expect(net.reserved).toEqual(['10.0.0.2']);
  });

  test('another interface gets another address, and DEL of one keeps the other (host-local 5)', async () => {
    const net = network(large);
    await net.add();
    await net.ask({ command: 'ADD', ifname: 'eth1' });
    expect(net.reserved).toEqual(['10.0.0.2', '10.0.0.3']);
    await net.del('c1', 'eth0');
    expect(net.reserved).toEqual(['10.0.0.3']);
  });

  test('a freed address is not handed out next (host-local 6)', async () => {
    const net = network(large);
    for (const id of ['a', 'b', 'c']) await net.add(id);
    await net.del('a');
    expect(addresses(await net.add('d'))).toEqual(['10.0.0.5/24']);
  });

  test('a full range says so, and how many of how many are used (host-local 7)', async () => {
    const net = network(small);
    const given = [];
    for (const id of ['a', 'b', 'c', 'd', 'e']) given.push(...addresses(await net.add(id)));
    expect(given).toEqual(['10.0.0.2/29', '10.0.0.3/29', '10.0.0.4/29', '10.0.0.5/29', '10.0.0.6/29']);
    expect((await net.add('f')).json).toEqual({
      code: 999,
      msg: 'failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6',
      details:
        `5 of 5 addresses are used; reservations are the files in ${net.directory}, and GC ` +
        '("cnitool gc net", or the runtime\'s) removes those of containers that are gone',
    });
  });

  test('a range full of reservations from before the boot says so, and what to run (host-local 7)', async () => {
    const net = network(small);
    for (const last of [2, 3, 4, 5, 6]) {
      net.write(`10.0.0.${last}`, `x${last}\r\neth0`);
      if (last > 3) utimesSync(join(net.directory, `10.0.0.${last}`), 1e9, 1e9);
    }
    const { msg, details } = (await net.add('f')).json;
    expect(msg).toMatch(/^failed to allocate for range 0: no IP addresses available in range set: /);
    expect(details).toContain(
      'Used are 0 live, 3 from before this boot, 2 of attachments that nobody remembers: 3 stale; ' +
        '"cnitool ipam show net" tells which, "cnitool gc net --stale --yes" releases them',
    );
  });

  test('the walk begins behind the cursor and comes back to it last (host-local 8)', async () => {
    const net = network(small);
    net.write('last_reserved_ip.0', '10.0.0.5');
    net.write('10.0.0.6', 'x\r\neth0');
    expect(addresses(await net.add())).toEqual(['10.0.0.2/29']);
    const full = network(small);
    full.write('last_reserved_ip.0', '10.0.0.3');
    for (const last of [2, 4, 5, 6]) full.write(`10.0.0.${last}`, `x${last}\r\neth0`);
    expect(addresses(await full.add())).toEqual(['10.0.0.3/29']);
  });

  test('the ranges of a set are used one after the other (host-local 9)', async () => {
    const net = network({
      ranges: [
        [
          { subnet: '10.0.0.0/30' },
          { subnet: '10.0.1.0/30', gateway: '10.0.1.2' },
          { subnet: '10.0.2.0/30' },
        ],
      ],
    });
    const given = [];
    for (const id of ['a', 'b', 'c']) given.push(...addresses(await net.add(id)));
    expect(given).toEqual(['10.0.0.2/30', '10.0.1.1/30', '10.0.2.2/30']);
    expect((await net.add('d')).json.msg).toBe(
      'failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.2,10.0.1.1-10.0.1.2,10.0.2.1-10.0.2.2',
    );
  });

  test.each(['10.0.0.9\n', 'rubbish', '10.9.9.9', undefined])(
    'a cursor of %j means the beginning (host-local 10)',
    async (cursor) => {
      const net = network(large);
      if (cursor !== undefined) net.write('last_reserved_ip.0', cursor);
      const added = await net.add();
      expect(addresses(added)).toEqual(['10.0.0.2/24']);
      expect(added.stderr).toBe('');
    },
  );

  test('a cursor that is a directory fails ADD, which leaves no address behind (host-local 11)', async () => {
    const net = network(large);
    mkdirSync(join(net.directory, 'last_reserved_ip.0'), { recursive: true });
    const added = await net.add();
    expect(added.json.msg).toBe(
      `failed to allocate for range 0: open ${net.directory}/last_reserved_ip.0: is a directory`,
    );
    expect(added.stderr).toContain('Error retrieving last reserved ip:');
    expect(net.reserved).toEqual([]);
    expect((await net.del()).status).toBe(0);
  });

  test.each([['10.0.0.0/31'], ['10.0.0.0/32'], ['fd00::/127'], ['fd00::/128']])(
    '%s is too small to allocate from (host-local 12)',
    async (subnet) => {
      const net = network({ ranges: [[{ subnet }]] });
      expect((await net.add()).json).toMatchObject({
        code: 999,
        msg: `invalid range set 0: Network ${subnet} too small to allocate from`,
      });
    },
  );

  test('the smallest subnets have one IPv4 and two IPv6 addresses (host-local 12)', async () => {
    const four = network({ subnet: '10.0.0.0/30' });
    expect(addresses(await four.add('a'))).toEqual(['10.0.0.2/30']);
    expect((await four.add('b')).status).toBe(1);
    const six = network({ subnet: 'fd00::/126' });
    expect(addresses(await six.add('a'))).toEqual(['fd00::2/126']);
    expect(addresses(await six.add('b'))).toEqual(['fd00::3/126']);
    expect((await six.add('c')).status).toBe(1);
  });

  test('network and broadcast address are handed out when the range names them (host-local 13)', async () => {
    const low = network({ subnet: '10.0.0.0/24', rangeStart: '10.0.0.0' });
    expect(addresses(await low.add())).toEqual(['10.0.0.0/24']);
    const high = network({ subnet: '10.0.0.0/24', rangeEnd: '10.0.0.255' });
    high.write('last_reserved_ip.0', '10.0.0.254');
    expect(addresses(await high.add())).toEqual(['10.0.0.255/24']);
  });

  test('a range of one address is exhausted or reusable, never endless (host-local 14)', async () => {
    const gateway = network({ subnet: '10.0.0.0/24', rangeStart: '10.0.0.1', rangeEnd: '10.0.0.1' });
    expect((await gateway.add()).json.msg).toContain(
      'no IP addresses available in range set: 10.0.0.1-10.0.0.1',
    );
    const single = network({ subnet: '10.0.0.0/24', rangeStart: '10.0.0.7', rangeEnd: '10.0.0.7' });
    expect(addresses(await single.add('a'))).toEqual(['10.0.0.7/24']);
    expect((await single.add('b')).status).toBe(1);
    await single.del('a');
    expect(addresses(await single.add('b'))).toEqual(['10.0.0.7/24']);
  });

  test('the gateway may be any address, inside or not (host-local 15)', async () => {
    const inside = network({ subnet: '10.0.0.0/24', gateway: '10.0.0.254' });
    expect((await inside.add()).json.ips).toEqual([{ address: '10.0.0.1/24', gateway: '10.0.0.254' }]);
    const outside = network({ subnet: '10.0.0.0/24', gateway: '192.168.0.1' });
    expect((await outside.add()).json.ips).toEqual([{ address: '10.0.0.1/24', gateway: '192.168.0.1' }]);
  });

  test.each([
    [
      { subnet: '10.0.0.5/24' },
      'Network has host bits set. For a subnet mask of length 24 the network address is 10.0.0.0',
    ],
    [{ subnet: '10.0.0.0/24', rangeStart: '10.0.1.1' }, 'RangeStart 10.0.1.1 not in network 10.0.0.0/24'],
    [{ subnet: '10.0.0.0/24', rangeEnd: '10.0.1.1' }, 'RangeEnd 10.0.1.1 not in network 10.0.0.0/24'],
    [
      { subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.5' },
      'RangeStart 10.0.0.9 not in network 10.0.0.0/24',
    ],
    [{ subnet: '10.0.0.0/24', rangeEnd: '10.0.0.0' }, 'RangeEnd 10.0.0.0 not in network 10.0.0.0/24'],
    [{ subnet: '::ffff:10.0.0.0/120' }, 'IPNet IP and Mask version mismatch'],
  ])('the range %j is refused: %s (host-local 16)', async (range, text) => {
    const net = network({ ranges: [[range]] });
    expect((await net.add()).json).toEqual({ code: 999, msg: `invalid range set 0: ${text}` });
  });

  test('a start above the default end is refused instead of walking out of the subnet', async () => {
    const net = network({ subnet: '10.0.0.0/24', rangeStart: '10.0.0.255' });
    expect((await net.add()).json.msg).toContain('RangeStart 10.0.0.255 is above 10.0.0.254');
    net.ipam = { subnet: '10.0.0.0/24', rangeStart: '10.0.0.254' };
    expect(addresses(await net.add())).toEqual(['10.0.0.254/24']);
  });

  test.each([
    [undefined, 999, 'no IP ranges specified'],
    [[[]], 999, 'invalid range set 0: empty range set'],
    [[{}], 7, 'failed to load netconf: ipam.ranges[0]: expected a list, got an object'],
    [[[{}]], 999, 'invalid range set 0: IP <nil> not v4 nor v6'],
    [[null], 7, 'failed to load netconf: ipam.ranges[0]: expected a list, got null'],
    [[[{ subnet: 5 }]], 7, 'failed to load netconf: ipam.ranges[0][0].subnet: expected a string, got 5'],
  ])('ranges %j are refused by what is wrong with them (host-local 17)', async (ranges, code, msg) => {
    const net = network({ ...(ranges !== undefined && { ranges }) });
    const { json } = await net.add();
    expect(json.code).toBe(code);
    expect(json.msg).toContain(msg);
  });

  test('a text that is no address names itself and its field', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0/24' }]] });
    expect((await net.add()).json).toEqual({
      code: 999,
      msg: 'invalid CIDR address: 10.0.0/24',
      details: 'ipam.ranges[0][0].subnet',
    });
    net.ipam = { ranges: [[{ subnet: '10.0.0.0/24', gateway: '10.0.0.01' }]] };
    expect((await net.add()).json).toEqual({
      code: 999,
      msg: 'invalid IP address: 10.0.0.01',
      details: 'ipam.ranges[0][0].gateway',
    });
    net.ipam = { subnet: '' };
    expect((await net.add()).json.msg).toBe('invalid CIDR address: ');
    expect((await net.call(hostLocalWith(undefined), { command: 'ADD' }, '{"name":"net"}')).json).toEqual({
      code: 999,
      msg: "IPAM config missing 'ipam' key",
    });
  });

  test('ranges that share addresses are refused, a subnet split between sets is not (host-local 18)', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }, { subnet: '10.0.0.0/25' }]] });
    expect((await net.add()).json.msg).toBe(
      'invalid range set 0: subnets 10.0.0.1-10.0.0.254 and 10.0.0.1-10.0.0.126 overlap',
    );
    net.ipam = {
      ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: '10.1.0.0/24' }], [{ subnet: '10.0.0.0/25' }]],
    };
    expect((await net.add()).json.msg).toBe('range set 0 overlaps with 2');
    net.ipam = { ranges: [[{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }]] };
    expect((await net.add()).json.msg).toBe('invalid range set 0: mixed address families');
    net.ipam = {
      ranges: [
        [{ subnet: '10.0.0.0/24', rangeEnd: '10.0.0.100' }],
        [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.101' }],
      ],
    };
    expect(addresses(await net.add())).toEqual(['10.0.0.2/24', '10.0.0.101/24']);
  });

  test('before 0.3.0 there is one address per family (host-local 19)', async () => {
    const net = network(twoSets, { cniVersion: '0.2.0' });
    expect((await net.add()).json.msg).toBe(
      'CNI version 0.2.0 does not support more than 1 address per family',
    );
    net.rest = { cniVersion: undefined };
    expect((await net.add()).json.msg).toBe('CNI version  does not support more than 1 address per family');
    net.rest = { cniVersion: '0.3.0' };
    expect((await net.add()).status).toBe(0);
    const dual = network(
      { ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00::/64' }]] },
      { cniVersion: '0.2.0' },
    );
    expect((await dual.add()).status).toBe(0);
  });

  test.each(['runtimeConfig', 'RuntimeConfig'])(
    'sets come from %s, the legacy range and ranges, in this order (host-local 20)',
    async (key) => {
      const net = network(
        { subnet: '10.1.0.0/24', ranges: [[{ subnet: '10.2.0.0/24' }]] },
        { [key]: { ipRanges: [[{ subnet: '10.0.0.0/24' }]] } },
      );
      expect(addresses(await net.add())).toEqual(['10.0.0.2/24', '10.1.0.2/24', '10.2.0.2/24']);
      expect([0, 1, 2].map((set) => net.read(`last_reserved_ip.${set}`))).toEqual([
        '10.0.0.2',
        '10.1.0.2',
        '10.2.0.2',
      ]);
    },
  );

  test('IP= asks for an address, whose prefix length is the range’s, and moves the cursor (host-local 21)', async () => {
    const net = network(large);
    expect(addresses(await net.add('a', 'IP=10.0.0.50/8'))).toEqual(['10.0.0.50/24']);
    expect(net.read('last_reserved_ip.0')).toBe('10.0.0.50');
    expect(addresses(await net.add('b'))).toEqual(['10.0.0.51/24']);
  });

  test('an address that cannot be had is refused and leaves nothing (host-local 22)', async () => {
    const net = network(small);
    const refusal = async (ip: string) => (await net.add('b', `IP=${ip}`)).json;
    expect((await refusal('10.0.0.1')).msg).toBe(
      "failed to allocate for range 0: requested ip 10.0.0.1 is subnet's gateway",
    );
    await net.add('a', 'IP=10.0.0.5');
    expect(await refusal('10.0.0.5')).toEqual({
      code: 999,
      msg: 'failed to allocate for range 0: requested IP address 10.0.0.5 is not available in range set 10.0.0.1-10.0.0.6',
      details: '10.0.0.5 is held by container a, interface eth0',
    });
    for (const ip of ['10.0.0.0', '10.0.0.7', '10.9.9.9']) {
      expect((await refusal(ip)).msg).toBe(`failed to allocate all requested IPs: ${ip}`);
    }
    expect(net.reserved).toEqual(['10.0.0.5']);
  });

  test('each set gives the requested address that lies in it (host-local 23)', async () => {
    const net = network(twoSets, { args: { cni: { ips: ['10.1.2.88', '10.1.3.77'] } } });
    expect(addresses(await net.add())).toEqual(['10.1.2.88/24', '10.1.3.77/24']);
    const dual = network(
      { ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00::/64' }]] },
      { args: { cni: { ips: ['fd00::77/64', '10.1.2.88/24'] } } },
    );
    expect(addresses(await dual.add())).toEqual(['10.1.2.88/24', 'fd00::77/64']);
  });

  test('two requested addresses in one set cannot both be had (host-local 24)', async () => {
    const net = network(twoSets, { args: { cni: { ips: ['10.1.2.88', '10.1.2.77'] } } });
    expect((await net.add()).json.msg).toBe('failed to allocate all requested IPs: 10.1.2.77');
    expect(existsSync(net.directory) ? net.reserved : []).toEqual([]);
  });

  test('the same address from every source is one request (host-local 25)', async () => {
    const net = network(large, {
      args: { cni: { ips: ['10.0.0.9'] } },
      runtimeConfig: { ips: ['10.0.0.9/24', '::ffff:10.0.0.9'] },
    });
    expect(addresses(await net.add('c1', 'IP=10.0.0.9'))).toEqual(['10.0.0.9/24']);
  });

  test.each([
    [[''], 'cannot understand ip: IP <nil> not v4 nor v6'],
    [['foo'], 'invalid IP address foo'],
    [[null], 'failed to load netconf: runtimeConfig.ips[0]: expected a string, got null'],
  ])('the requested addresses %j are refused', async (ips, msg) => {
    const net = network(large, { runtimeConfig: { ips } });
    expect((await net.add()).json.msg).toBe(msg);
  });

  test('a requested address is given to an attachment that has one, and DEL frees both (host-local 26)', async () => {
    const net = network(large);
    await net.add();
    expect(addresses(await net.add('c1', 'IP=10.0.0.50'))).toEqual(['10.0.0.50/24']);
    await net.del();
    expect(net.reserved).toEqual([]);
  });

  test.each([
    ['FOO', 'ARGS: invalid pair "FOO"'],
    ['A=b=c', 'ARGS: invalid pair "A=b=c"'],
    ['IgnoreUnknown=1;', 'ARGS: invalid pair ""'],
    ['FOO=bar', 'ARGS: unknown args ["FOO=bar"]'],
    ['FOO=bar;ip=1', 'ARGS: unknown args ["FOO=bar" "ip=1"]'],
    ['IgnoreUnknown=1;FOO=bar', undefined],
    ['FOO=bar;IgnoreUnknown=True', undefined],
    ['IP=', undefined],
    [
      'IgnoreUnknown=yes',
      'ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: invalid input yes',
    ],
    ['IP=foo', 'ARGS: error parsing value of pair "IP=foo": invalid IP address foo'],
    [
      'IP=10.0.0.4,10.0.0.5',
      'ARGS: error parsing value of pair "IP=10.0.0.4,10.0.0.5": invalid IP address 10.0.0.4,10.0.0.5',
    ],
  ])('CNI_ARGS %j on ADD: %s; DEL does not look at them (host-local 27)', async (args, msg) => {
    const net = network(large);
    const { status, json } = await net.ask({ command: 'ADD', args });
    expect([status, json.msg]).toEqual(msg === undefined ? [0, undefined] : [1, msg]);
    expect((await net.ask({ command: 'DEL', args })).status).toBe(0);
    expect(net.has('10.0.0.2')).toBe(false);
  });

  test('when a later set is full, what this ADD reserved is given back and no more (host-local 28)', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: '10.0.1.0/30' }]] });
    await net.add('a');
    const failed = await net.add('b');
    expect(failed.json.msg).toContain('failed to allocate for range 1: no IP addresses available');
    expect(net.reserved).toEqual(['10.0.0.2', '10.0.1.2']);
    expect(net.read('last_reserved_ip.0')).toBe('10.0.0.3');
  });

  test('a failed ADD keeps what the same attachment owned before', async () => {
    const net = network(twoSets);
    net.write('10.1.3.2', 'c1\r\neth0');
    expect((await net.add()).json.msg).toContain(
      'failed to allocate for range 1: 10.1.3.2 has been allocated to c1',
    );
    expect(net.reserved).toEqual(['10.1.3.2']);
  });

  test('a reservation that holds the container id alone belongs to any interface (host-local 29)', async () => {
    const net = network(large);
    net.write('10.0.0.2', 'c1');
    expect((await net.add()).json.msg).toContain('10.0.0.2 has been allocated to c1, duplicate');
    expect((await net.check('c1', 'eth7')).status).toBe(0);
    expect((await net.del('c1', 'eth7')).status).toBe(0);
    expect(net.reserved).toEqual([]);
  });

  test('DEL takes the own reservation first and the legacy one next, or both with two sets (host-local 30)', async () => {
    const one = network(large);
    one.write('10.0.0.2', 'c1');
    one.write('10.0.0.3', 'c1\r\neth0');
    await one.del();
    expect(one.reserved).toEqual(['10.0.0.2']);
    await one.del();
    expect(one.reserved).toEqual([]);
    const two = network(twoSets);
    two.write('10.1.2.2', 'c1');
    two.write('10.1.2.3', 'c1\r\neth0');
    two.write('10.1.2.4', 'c1\r\neth1');
    await two.del();
    expect(two.reserved).toEqual(['10.1.2.4']);
  });

  test('white space around the owner does not matter, another separator does (host-local 31)', async () => {
    const net = network(large);
    net.write('10.0.0.2', ' c1\r\neth0\r\n');
    net.write('10.0.0.3', 'c2\neth0');
    expect((await net.check('c1')).status).toBe(0);
    expect((await net.check('c2')).status).toBe(1);
    await net.del('c1');
    await net.del('c2');
    expect(net.reserved).toEqual(['10.0.0.3']);
  });

  test('DEL succeeds when there is nothing to delete, and whatever the ranges are now (host-local 32)', async () => {
    const net = network(large);
    expect((await net.del()).status).toBe(0);
    expect(net.has('lock')).toBe(true);
    await net.add();
    expect((await net.del('unknown')).status).toBe(0);
    expect(net.reserved).toEqual(['10.0.0.2']);
    net.ipam = small;
    const deleted = await net.del();
    expect([deleted.status, deleted.stdout]).toEqual([0, '']);
    expect(net.reserved).toEqual([]);
    expect((await net.del()).status).toBe(0);
  });

  test('DEL and GC release whatever is wrong with the ranges, where the directory can be told (host-local 33)', async () => {
    const net = network(large);
    const broken: Record<string, unknown>[] = [
      {},
      { ranges: [[{ subnet: '10.0.0.1/24' }]] },
      { ranges: [[{ subnet: '10.0.0.0/24' }, { subnet: '10.0.0.0/25' }]] },
      { ranges: 'none' },
      { subnet: 'nonsense', routes: [{ dst: 'nowhere' }] },
      { subnet: '10.0.0.0/24', resolvConf: '/tmp/\0x' },
    ];
    for (const ipam of broken) {
      net.ipam = large;
      expect((await net.add()).status).toBe(0);
      net.ipam = ipam;
      expect((await net.add('c2')).status).toBe(1);
      const deleted = await net.del();
      expect([deleted.status, deleted.stdout]).toEqual([0, '']);
      expect(net.reserved).toEqual([]);
      net.write('10.0.0.9', 'c9\r\neth0');
      net.rest = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
      expect((await net.ask({ command: 'GC' })).status).toBe(0);
      expect(net.reserved).toEqual([]);
      net.rest = {};
    }
    // The key of the directory is read as ADD reads it.
    const { dataDir } = net;
    net.write('10.0.0.9', 'c1\r\neth0');
    net.ipam = { dataDir: null, DataDir: dataDir };
    expect((await net.del()).status).toBe(0);
    expect(net.reserved).toEqual([]);
    net.ipam = { dataDir: 5 };
    expect((await net.del()).json).toMatchObject({
      code: 7,
      msg: 'failed to load netconf: ipam.dataDir: expected a string, got 5',
    });
  });

  test('a path with a NUL names its field, and is not read up to there', async () => {
    const net = network(large);
    const cut = `${net.dataDir}\0/elsewhere`;
    net.ipam = { ...large, dataDir: cut };
    for (const answer of [await net.add(), await net.del()]) {
      expect(answer.json.msg).toBe('invalid argument: ipam.dataDir has a NUL character in it');
    }
    expect(existsSync(net.dataDir)).toBe(false);
    net.ipam = { ...large, resolvConf: '/etc/hosts\0.conf' };
    expect((await net.add()).json.msg).toBe('invalid argument: ipam.resolvConf has a NUL character in it');
    expect(existsSync(net.dataDir)).toBe(false);
  });

  /** As it was written before the host was booted. */
  function age(net: TrialNetwork, ...names: string[]) {
    for (const name of names) utimesSync(join(net.directory, name), 978307200, 978307200);
  }

  test('a reservation of the same attachment from before the boot is taken over, with its address', async () => {
    const net = network(twoSets);
    await net.add('other');
    expect(addresses(await net.add())).toEqual(['10.1.2.3/24', '10.1.3.3/24']);
    age(net, '10.1.2.2', '10.1.3.2', '10.1.2.3', '10.1.3.3');
    expect(addresses(await net.add())).toEqual(['10.1.2.3/24', '10.1.3.3/24']);
    // Once: now they are of this boot.
    expect((await net.add()).json.msg).toContain('duplicate allocation is not allowed');
    expect(net.reserved).toEqual(['10.1.2.2', '10.1.2.3', '10.1.3.2', '10.1.3.3']);
    expect((await net.check()).status).toBe(0);
  });

  test('from before the boot or not, another attachment keeps what it has', async () => {
    const net = network(large);
    await net.add('c1');
    age(net, '10.0.0.2');
    expect((await net.add('c2', 'IP=10.0.0.2')).json.details).toContain('is held by container c1');
    const eth1 = await net.ask({ command: 'ADD', ifname: 'eth1' });
    expect(addresses(eth1)).toEqual(['10.0.0.3/24']);
    expect(net.read('10.0.0.2')).toBe('c1\r\neth0');
  });

  test('an address asked for again after the boot is had, as is one in the format of old releases', async () => {
    const net = network(large);
    expect(addresses(await net.add('c1', 'IP=10.0.0.50'))).toEqual(['10.0.0.50/24']);
    expect((await net.add('c1', 'IP=10.0.0.50')).status).toBe(1);
    age(net, '10.0.0.50');
    expect(addresses(await net.add('c1', 'IP=10.0.0.50'))).toEqual(['10.0.0.50/24']);
    net.write('10.0.0.60', 'c2');
    age(net, '10.0.0.60');
    expect(addresses(await net.add('c2'))).toEqual(['10.0.0.60/24']);
    expect(net.read('10.0.0.60')).toBe('c2\r\neth0');
  });

  test('a reservation as old as the boot is not taken over', async () => {
    const net = network(large);
    await net.add();
    const [uptime = ''] = readFileSync('/proc/uptime', 'utf8').split(' ');
    const boot = Date.now() / 1000 - Number(uptime);
    utimesSync(join(net.directory, '10.0.0.2'), boot, boot);
    expect((await net.add()).json.msg).toContain('duplicate allocation is not allowed');
  });

  test('a failed ADD gives back what it took over from before the boot', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: '10.0.1.0/30' }]] });
    net.write('10.0.0.2', 'c1\r\neth0');
    net.write('10.0.1.2', 'other\r\neth0');
    age(net, '10.0.0.2');
    expect((await net.add()).status).toBe(1);
    expect(net.reserved).toEqual(['10.0.1.2']);
  });

  test('a dry run that fails leaves what it would have taken over from before the boot', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: '10.0.1.0/30' }]] });
    net.write('10.0.0.2', 'c1\r\neth0');
    net.write('10.0.1.2', 'other\r\neth0');
    age(net, '10.0.0.2');
    expect((await net.ask({ command: 'PLAN' })).json.msg).toContain('failed to allocate for range 1');
    expect(net.reserved).toEqual(['10.0.0.2', '10.0.1.2']);
  });

  test('a FIFO or a link in the directory holds nobody up and leads nowhere', async () => {
    const net = network(large);
    mkdirSync(net.directory, { recursive: true });
    const victim = join(net.root, 'victim');
    writeFileSync(victim, 'c1\r\neth0');
    execFileSync('mkfifo', [join(net.directory, '10.0.0.2')]);
    symlinkSync(victim, join(net.directory, '10.0.0.3'));
    // They keep their addresses, and belong to nobody.
    expect(addresses(await net.add())).toEqual(['10.0.0.4/24']);
    expect((await net.check()).status).toBe(0);
    expect((await net.add('c2', 'IP=10.0.0.2')).json.details).toContain(
      'something that is not a reservation',
    );
    expect((await net.del()).status).toBe(0);
    net.rest = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
    expect((await net.ask({ command: 'GC' })).status).toBe(0);
    expect((await net.ask({ command: 'STATUS' })).status).toBe(0);
    expect(net.reserved).toEqual(['10.0.0.2', '10.0.0.3']);

    for (const name of ['last_reserved_ip.0', 'lock']) {
      const path = join(net.directory, name);
      rmSync(path);
      symlinkSync(victim, path);
      const linked = await net.add();
      expect(linked.json.msg).toContain(`open ${path}: a symbolic link`);
      rmSync(path);
      execFileSync('mkfifo', [path]);
      const piped = await net.add();
      expect(piped.json.msg).toContain(`open ${path}: not a regular file`);
      rmSync(path);
      expect(net.reserved).toEqual(['10.0.0.2', '10.0.0.3']);
    }
    expect(readFileSync(victim, 'utf8')).toBe('c1\r\neth0');
  });

  test('dataDir may be a link, and so may resolvConf; a FIFO there is refused', async () => {
    const net = network(large);
    mkdirSync(join(net.root, 'elsewhere'));
    symlinkSync(join(net.root, 'elsewhere'), net.dataDir);
    const [file, fifo, link] = ['file', 'fifo', 'link'].map((name) => join(net.root, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, 'nameserver 192.0.2.1\n');
    symlinkSync(file, link);
    net.ipam = { ...large, resolvConf: link };
    const { json } = await net.add();
    expect(json.dns).toEqual({ nameservers: ['192.0.2.1'] });
    expect(existsSync(join(net.root, 'elsewhere/net/10.0.0.2'))).toBe(true);
    execFileSync('mkfifo', [fifo]);
    net.ipam = { ...large, resolvConf: fifo };
    expect((await net.add('c2')).json.msg).toContain(`open ${fifo}: not a regular file`);
  });

  test('CHECK finds the reservation of the attachment, by id and interface (host-local 34)', async () => {
    const net = network(large);
    await net.add();
    const found = await net.check();
    expect([found.status, found.stdout]).toEqual([0, '']);
    const missing = { code: 999, msg: 'host-local: Failed to find address added by container c1' };
    expect((await net.check('c1', 'eth1')).json).toEqual(missing);
    expect((await net.check('c2')).json.msg).toBe('host-local: Failed to find address added by container c2');
    net.rest = { cniVersion: '0.3.1' };
    expect((await net.check()).json).toEqual({ code: 1, msg: 'config version does not allow CHECK' });
  });

  test('CHECK finds an address of the result that went to somebody else, or to nobody', async () => {
    const net = network({ ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]] });
    const { json: prevResult } = await net.add();
    const other = { address: '192.0.2.7/24' };
    net.rest = { prevResult: { ...prevResult, ips: [...(prevResult.ips ?? []), other] } };
    expect((await net.check()).status).toBe(0);
    writeFileSync(join(net.directory, '10.0.0.2'), 'c2\r\neth0');
    const failure = 'host-local: Failed to find address added by container c1';
    expect((await net.check()).json.msg).toBe(`${failure}: 10.0.0.2 is held by container c2, interface eth0`);
    rmSync(join(net.directory, '10.0.0.2'));
    expect((await net.check()).json.msg).toBe(`${failure}: 10.0.0.2 is reserved for nobody`);
  });

  test('GC and STATUS belong to 1.1.0 and are silent, VERSION is one line (host-local 35)', async () => {
    const net = network(large, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] });
    for (const command of ['GC', 'STATUS'] as const) {
      const { status, stdout, stderr } = await net.ask({ command });
      expect([status, stdout, stderr]).toEqual([0, '', '']);
    }
    net.rest = { cniVersion: '1.0.0' };
    for (const command of ['GC', 'STATUS'] as const) {
      const refused = { code: 1, msg: `config version does not allow ${command}` };
      expect((await net.ask({ command })).json).toEqual(refused);
    }
    const version = await net.call(hostLocalWith(undefined), { command: 'VERSION' }, 'junk');
    expect(version.stdout).toBe(
      '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n',
    );
  });

  test('the own namespace is none of its business: it never enters CNI_NETNS (host-local 36)', async () => {
    const net = network(large);
    const netns = '/proc/thread-self/ns/net';
    for (const command of ['ADD', 'DEL'] as const) {
      expect((await net.ask({ command, netns })).status).toBe(0);
    }
  });

  test('resolvConf becomes the result’s DNS (host-local 37)', async () => {
    const net = network(large);
    const file = join(net.root, 'resolv.conf');
    net.ipam = { ...large, resolvConf: file };
    const failed = await net.add();
    expect(failed.json.msg).toBe(`open ${file}: no such file or directory`);
    expect(existsSync(net.directory)).toBe(false);
    writeFileSync(
      file,
      '# comment\r\n; another\nnameserver 192.0.2.3 ignored\r\n  nameserver 2001:db8::3\ndomain a.example\n' +
        'search one.example two.example\nsearch three.example\noptions ndots:1\noptions debug\ndomain b.example\nnameserver\nNameserver 1.1.1.1\n',
    );
    expect((await net.add()).json.dns).toEqual({
      nameservers: ['192.0.2.3', '2001:db8::3'],
      domain: 'b.example',
      search: ['one.example', 'two.example', 'three.example'],
      options: ['ndots:1', 'debug'],
    });
    writeFileSync(file, '');
    expect((await net.add('c2')).json).not.toHaveProperty('dns');
    net.ipam = { ...large, resolvConf: net.root };
    expect((await net.add('c3')).json.msg).toBe(`read ${net.root}: is a directory`);
  });

  test('IPv6 addresses carry and have canonical file names (host-local 41)', async () => {
    const net = network({ subnet: '2001:db8::/64', rangeStart: '2001:db8::fffe' });
    const given = [];
    for (const id of ['a', 'b', 'c']) given.push(...addresses(await net.add(id)));
    expect(given).toEqual(['2001:db8::fffe/64', '2001:db8::ffff/64', '2001:db8::1:0/64']);
    expect(net.reserved).toEqual(['2001:db8::1:0', '2001:db8::fffe', '2001:db8::ffff']);
    net.ipam = { subnet: '2001:db8::/64' };
    expect(addresses(await net.add('d', 'IP=2001:DB8:0:0::AbC'))).toEqual(['2001:db8::abc/64']);
    expect(net.has('2001:db8::abc')).toBe(true);
    net.ipam = { subnet: '::100:0/112' };
    expect(addresses(await net.add('e'))).toEqual(['::100:2/112']);
  });

  test('an empty address file is a dead writer’s and its address is handed out', async () => {
    const net = network(small);
    net.write('10.0.0.2', '');
    expect(addresses(await net.add('a'))).toEqual(['10.0.0.2/29']);
    net.write('10.0.0.5', '');
    expect(addresses(await net.add('b', 'IP=10.0.0.5'))).toEqual(['10.0.0.5/29']);
    expect(net.read('10.0.0.5')).toBe('b\r\neth0');
  });

  test('a free address behind hundreds of taken ones is found, an empty file among them too', async () => {
    const net = network({ subnet: '10.0.0.0/22' });
    for (let n = 2; n < 1022; n++) net.write(`10.0.${n >> 8}.${n & 255}`, n === 700 ? '' : `x${n}\r\neth0`);
    expect(addresses(await net.add('a'))).toEqual(['10.0.3.254/22']);
    expect(addresses(await net.add('b'))).toEqual(['10.0.2.188/22']);
    expect((await net.add('c')).json.details).toMatch(/^1021 of 1021 addresses are used/);
  });

  test('something else of an address’s name is passed over', async () => {
    const net = network(small);
    mkdirSync(join(net.directory, '10.0.0.2'), { recursive: true });
    expect(addresses(await net.add())).toEqual(['10.0.0.3/29']);
    expect((await net.add('b', 'IP=10.0.0.2')).json.details).toContain('something that is not a reservation');
    expect((await net.del()).status).toBe(0);
  });

  test('files that are no addresses are neither reservations nor removed', async () => {
    const net = network(large);
    net.write('note', 'c1\r\neth0');
    net.write('last_reserved_ip.7', '10.0.0.2');
    expect((await net.check('c1')).status).toBe(1);
    await net.del('c1');
    await net.del('10.0.0.2');
    expect([net.has('note'), net.has('last_reserved_ip.7')]).toEqual([true, true]);
  });

  test('GC removes exactly the reservations of attachments that are gone', async () => {
    const net = network(large, { cniVersion: '1.1.0' });
    net.write('10.0.0.2', 'c1\r\neth0');
    net.write('10.0.0.3', 'c1\r\neth1');
    net.write('10.0.0.4', 'c2\r\neth0');
    net.write('10.0.0.5', 'c1');
    net.write('10.0.0.6', 'c2');
    net.write('10.0.0.7', '');
    net.write('10.0.0.8', 'kept for the printer');
    net.write('10.0.0.9', ' c1\r\neth0\r\n');
    net.write('2001:db8::1', 'c2\r\neth0');
    net.write('note', 'c2\r\neth0');
    net.rest = {
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': [
        { containerID: 'c1', ifname: 'eth0' },
        { containerID: 'c3', ifname: 'eth0' },
      ],
    };
    expect((await net.ask({ command: 'GC' })).stdout).toBe('');
    expect(net.reserved).toEqual(['10.0.0.2', '10.0.0.5', '10.0.0.8', '10.0.0.9']);
    expect(net.has('note')).toBe(true);
    expect((await net.del('c1')).status).toBe(0);
    expect(net.reserved).toEqual(['10.0.0.5', '10.0.0.8']);
  });

  test('GC without a list of attachments removes nothing', async () => {
    const net = network(large, { cniVersion: '1.1.0' });
    await net.add();
    expect((await net.ask({ command: 'GC' })).status).toBe(1);
    expect(net.reserved).toEqual(['10.0.0.2']);
  });

  test('STATUS says what keeps ADD from working', async () => {
    const net = network(small, { cniVersion: '1.1.0' });
    const status = async () => (await net.ask({ command: 'STATUS' })).json;
    expect(await status()).toEqual({});
    expect(existsSync(net.dataDir)).toBe(false);
    for (const id of ['a', 'b', 'c', 'd']) await net.add(id);
    expect(await status()).toEqual({});
    await net.add('e');
    // A full range is ADD's error: a runtime that is told so by STATUS takes the node for not ready.
    expect(await status()).toEqual({});
    net.ipam = { ...small, failStatusWhenFull: true };
    expect(await status()).toMatchObject({
      code: 50,
      msg: 'range set 0 (10.0.0.1-10.0.0.6) has 5 addresses and all are used',
    });
    net.write('10.0.0.4', '');
    expect(await status()).toEqual({});
    net.ipam = {};
    expect(await status()).toMatchObject({
      code: 50,
      msg: 'the configuration is not valid: no IP ranges specified',
    });
    net.ipam = { ...small, resolvConf: '/nowhere/resolv.conf' };
    expect(await status()).toMatchObject({
      code: 50,
      msg: 'resolvConf cannot be used: open /nowhere/resolv.conf: no such file or directory',
    });
    net.ipam = { ...small, dataDir: join(net.directory, 'lock') };
    expect((await status()).code).toBe(50);
  });

  test('a reservation that cannot be removed fails DEL, and the others go', async ({ skip }) => {
    const net = network(twoSets);
    await net.add();
    const file = join(net.directory, '10.1.2.2');
    try {
      execFileSync('chattr', ['+i', file], { stdio: 'ignore' });
    } catch {
      skip('this file system has no immutable files');
    }
    onTestFinished(() => {
      execFileSync('chattr', ['-i', file]);
    });
    expect((await net.del()).json.msg).toBe(
      `could not release every address: remove ${file}: operation not permitted`,
    );
    expect(net.reserved).toEqual(['10.1.2.2']);
  });

  test('a lock that cannot be opened fails with its path', async () => {
    const net = network(large);
    mkdirSync(join(net.directory, 'lock'), { recursive: true });
    expect((await net.add()).json.msg).toBe(`open ${net.directory}/lock: is a directory`);
  });

  test('the example configuration works', async () => {
    const path = join(import.meta.dirname, '../examples/host-local.conflist');
    const list = JSON.parse(readFileSync(path, 'utf8'));
    const net = network({ ...list.plugins[0].ipam });
    net.ipam = { ...net.ipam, dataDir: net.dataDir };
    expect((await net.add()).status).toBe(0);
  });
});

function addresses({ json }: Answer): string[] {
  return json.ips?.map((ip) => ip.address) ?? [JSON.stringify(json)];
}
