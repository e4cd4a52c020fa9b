/** ipvlan needs a kernel that has it: these run in user-mode Linux (`npm test` boots it). */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { test as base, type Container, type Host } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { ipvlan } from './ipvlan.ts';

const plugins = [hostLocal];

/** A wire to stand on: m0 on the host, and a neighbour at its other end. */
function wire(host: Host): void {
  host.sh(`ip link add m0 mtu 1400 type veth peer name neighbour mtu 1400
    ip link set m0 up; ip link set neighbour up`);
}

function ranges(host: Host, ...subnets: string[]): object {
  const dataDir = `${host.dir}/networks`;
  return { type: 'host-local', dataDir, ranges: subnets.map((subnet) => [{ subnet }]) };
}

ownLinks(
  ipvlan,
  {
    title: 'ipvlan, with a name that the host has too',
    plugins,
    prepare(host) {
      wire(host);
      host.sh('ip link set m0 down; ip link set m0 name eth0 up');
    },
    config: (host) => ({ master: 'eth0', ipam: ranges(host, '10.1.2.0/24') }),
  },
  { hostLinks: false },
);

conformance(ipvlan, [
  {
    title: 'ipvlan, dual stack',
    plugins,
    prepare: wire,
    config: (host) => ({ master: 'm0', ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64') }),
    tamperings: {
      'the link is gone': {
        by: (_, c) => c.sh('ip link del eth0'),
        says: /^Container Interface name in prevResult: eth0 not found/,
      },
      'an address is gone': {
        by: (_, c) => c.sh('ip address flush dev eth0 scope global'),
        says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
      },
      'the mode was changed': {
        by: (_, c) => c.sh('ip link set eth0 type ipvlan mode l3'),
        says: /^Container IPVlan mode l3 does not match expected value: l2/,
      },
      'it is on another master': {
        by(h, c) {
          const mac = c.sh('ip -o link show eth0').match(/ether (\S+)/)?.[1];
          c.sh('ip link del eth0');
          h.sh(`ip link add elsewhere address ${mac} type veth peer name x
            ip link set elsewhere up; ip link set x up
            ip link add moving link elsewhere type ipvlan mode l2
            ip link set moving netns ${c.path} name eth0`);
          c.sh('ip link set eth0 up');
        },
        says: /^container interface eth0 is on link \d+, not on its master "m0"/,
      },
      'it is down': { by: (_, c) => c.sh('ip link set eth0 down'), says: /eth0 is down/ },
    },
  },
]);

const test = base.extend<{ master: undefined }>({
  master: [
    async ({ host }, use) => {
      wire(host);
      pluginFolder(host, 'host-local');
      await use(undefined);
    },
    { auto: true },
  ],
});

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const own = { cniVersion: '1.1.0', name: 'net1', type: 'ipvlan', master: 'm0' };
  const full = { ...own, ipam: ranges(host, '10.1.2.0/24'), ...config };
  return { config: full, container, path: host.bin, plugins, ...more };
}

const json = (text: string) => JSON.parse(text.trim() || '[]');
const own = (container: Container, name = 'eth0') => json(container.sh(`ip -j -d link show ${name}`))[0];
const sysctl = (place: Container, key: string) => place.sh(`cat /proc/sys/net/${key}`).trim();
const has = (container: Container, name = 'eth0') => container.succeeds(`ip link show ${name}`);

/** An IPAM plugin that answers with this address and more. */
function answers(host: Host, more: object = {}): { ipam: { type: string }; log: () => string[] } {
  const ips = [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }];
  return {
    log: fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips, routes: [{ dst: '0.0.0.0/0' }], ...more }),
    ipam: { type: 'fake' },
  };
}

describe('the link', () => {
  test("is an ipvlan in mode l2 with its master's MAC, announced to neighbours, and nothing is on the host (ipvlan 1, trap 5)", async ({
    host,
    container,
  }) => {
    const { ipam } = answers(host);
    const before = host.sh('ip -br link');
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, { ipam }));
    const master = json(host.sh('ip -j link show m0'))[0];
    expect(own(container)).toMatchObject({
      link_index: master.ifindex,
      address: master.address,
      mtu: 1400,
      txqlen: 1000,
      flags: expect.arrayContaining(['UP']),
      linkinfo: { info_kind: 'ipvlan', info_data: { mode: 'l2' } },
    });
    expect(container.sh('ip -d link show eth0')).toMatch(/mode l2 bridge/);
    expect(container.sh('ip -br -4 address show eth0')).toContain('10.9.0.2/24');
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev eth0');
    expect(result).toMatchObject({
      interfaces: [{ name: 'eth0', mac: master.address, sandbox: container.path }],
      ips: [{ address: '10.9.0.2/24', interface: 0 }],
    });
    expect(result?.interfaces).toHaveLength(1);
    expect(host.sh('ip -br link')).toBe(before);
    expect([
      sysctl(container, 'ipv4/conf/eth0/arp_notify'),
      sysctl(container, 'ipv6/conf/eth0/ndisc_notify'),
    ]).toEqual(['1', '1']);
  });

  test.for(['l3', 'l3s'])('may be in mode %s, without ARP (ipvlan 2)', async (mode, { host, container }) => {
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, { mode }));
    expect(own(container)).toMatchObject({
      flags: expect.arrayContaining(['NOARP']),
      linkinfo: { info_data: { mode } },
    });
    await succeed(ipvlan, 'CHECK', given(host, container, { mode }, { prevResult: result }));
  });

  test("has the mtu asked for, also above the master's, else the master's (ipvlan 4)", async ({
    host,
    container,
  }) => {
    for (const [mtu, expected] of [
      [9000, 9000],
      [-5, 1400],
      [0, 1400],
    ]) {
      await succeed(ipvlan, 'ADD', given(host, container, { mtu }));
      expect(own(container).mtu).toBe(expected);
      await succeed(ipvlan, 'DEL', given(host, container, { mtu }));
    }
  });

  test('stands on the link of the default route where none is named, IPv6 alone included (ipvlan 5)', async ({
    host,
    container,
  }) => {
    host.sh(`ip link add d1 type dummy; ip link set d1 up; ip -6 address add 2001:db8:1::2/64 dev d1 nodad
      ip -6 route add default via 2001:db8:1::1; ip route add unreachable default metric 1`);
    const master = async () => {
      const { result } = await succeed(ipvlan, 'ADD', given(host, container, { master: '' }));
      const at = own(container).link_index;
      await succeed(ipvlan, 'CHECK', given(host, container, { master: '' }, { prevResult: result }));
      await succeed(ipvlan, 'DEL', given(host, container, { master: '' }, { prevResult: result }));
      return json(host.sh('ip -j link')).find(({ ifindex }: { ifindex: number }) => ifindex === at)?.ifname;
    };
    expect(await master()).toBe('d1');
    host.sh('ip address add 10.5.0.2/24 dev m0; ip route add default via 10.5.0.1');
    expect(await master()).toBe('m0');
  });

  test('finds the link of the default route while routes and links come and go (trap 13)', async ({
    host,
    container,
  }) => {
    host.sh('ip address add 10.5.0.2/24 dev m0; ip route add default via 10.5.0.1');
    const churn = spawn('bash', [
      '-c',
      `while :; do for i in $(seq 50); do
        echo "link add c$i type dummy"; echo "link set c$i up"; echo "address add 10.60.$i.1/24 dev c$i"
      done | ip -batch -; for i in $(seq 50); do echo "link del c$i"; done | ip -batch -; done`,
    ]);
    try {
      for (let i = 0; i < 20; i++) {
        await succeed(ipvlan, 'ADD', given(host, container, { master: '' }));
        await succeed(ipvlan, 'DEL', given(host, container, { master: '' }));
      }
    } finally {
      churn.kill();
    }
  });

  test('stands on a link of the container where linkInContainer says so (ipvlan 6)', async ({
    host,
    container,
  }) => {
    container.sh(`ip link add m1 type dummy; ip link set m1 up; ip address add 10.5.0.2/24 dev m1
      ip route add default via 10.5.0.1`);
    for (const master of ['m1', '']) {
      const inside = { master, linkInContainer: true };
      const { result } = await succeed(ipvlan, 'ADD', given(host, container, inside));
      expect(own(container).link).toBe('m1');
      await succeed(ipvlan, 'CHECK', given(host, container, inside, { prevResult: result }));
      await succeed(ipvlan, 'DEL', given(host, container, inside, { prevResult: result }));
      expect(has(container)).toBe(false);
    }
  });

  test('whose name the container has already is refused, and that link stays as it is (ipvlan 7, trap 11)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add eth0 type dummy; ip address add 10.7.0.1/24 dev eth0');
    const before = snapshot(container.netns);
    expect(await message(call(ipvlan, 'ADD', given(host, container, {})))).toBe(
      'failed to rename ipvlan to "eth0": file exists: the container has a link of that name (dummy)',
    );
    await succeed(ipvlan, 'DEL', given(host, container, {}));
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('on loopback, on a port, or beside macvlan is refused with what is in the way (ipvlan 8, trap 2)', async ({
    host,
    container,
  }) => {
    const refused = (master: string) => message(call(ipvlan, 'ADD', given(host, container, { master })));
    host.sh('ip link set lo up');
    expect(await refused('lo')).toMatch(
      /^failed to create ipvlan: invalid argument.*"lo" is the loopback link/,
    );
    host.sh(`ip link add br7 type bridge; ip link add d1 type dummy; ip link set d1 master br7
      ip link add d2 type dummy; ip link add mv0 link d2 type macvlan`);
    expect(await refused('d1')).toMatch(
      /^failed to create ipvlan: device or resource busy.*"d1" is a port of "br7", a bridge/,
    );
    const beside = await refused('d2');
    expect(beside).toContain('it seems to carry macvlan links already ("mv0")');
    const other = host.container('c2');
    host.sh(`ip link set mv0 netns ${other.path}`);
    expect(await refused('d2')).toContain('it seems to carry macvlan links already (in other namespaces');
    expect(has(container)).toBe(false);
    other.sh('ip link del mv0');
    await succeed(ipvlan, 'ADD', given(host, container, { master: 'd2' }));
  });

  test('on an ipvlan of the host stands on what that one does, and CHECK knows', async ({
    host,
    container,
  }) => {
    host.sh('ip link add i0 link m0 type ipvlan mode l2; ip link set i0 up');
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, { master: 'i0' }));
    await succeed(ipvlan, 'CHECK', given(host, container, { master: 'i0' }, { prevResult: result }));
    await succeed(ipvlan, 'DEL', given(host, container, { master: 'i0' }));
    expect(has(container)).toBe(false);
  });

  test('is made on a master that is down', async ({ host, container }) => {
    host.sh('ip link set m0 down');
    await succeed(ipvlan, 'ADD', given(host, container, {}));
    expect(container.sh('ip -br link show eth0')).toContain('UP');
  });

  test('of another mode switches the first, which its CHECK finds (ipvlan 14, trap 4)', async ({
    host,
    container,
  }) => {
    const first = given(host, container, { mode: 'l3s' });
    const { result } = await succeed(ipvlan, 'ADD', first);
    await succeed(ipvlan, 'ADD', given(host, host.container('c2'), { mode: 'l2' }, { containerId: 'c2' }));
    expect(own(container).linkinfo.info_data.mode).toBe('l2');
    expect(await message(call(ipvlan, 'CHECK', { ...first, prevResult: result }))).toBe(
      'Container IPVlan mode l2 does not match expected value: l3s',
    );
  });

  test('two on one master have different link-local addresses, and both work (trap 9)', async ({
    host,
    container,
  }) => {
    const other = host.container('c2');
    await succeed(ipvlan, 'ADD', given(host, container, {}));
    await succeed(ipvlan, 'ADD', given(host, other, {}, { containerId: 'c2' }));
    const linkLocal = (place: Container) =>
      json(place.sh('ip -j -6 address show dev eth0 scope link'))[0]?.addr_info[0];
    await expect.poll(() => linkLocal(other)?.tentative, { timeout: 10_000 }).toBeUndefined();
    expect(linkLocal(container).local).not.toBe(linkLocal(other).local);
    for (const one of [container, other]) expect(linkLocal(one)).not.toHaveProperty('dadfailed');
  });

  test('comes and goes without any event of another link on the host (trap 10)', async ({
    host,
    container,
  }) => {
    const heard: string[] = [];
    const monitor = spawn('ip', ['monitor', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] });
    monitor.stdout.on('data', (text: Buffer) => heard.push(text.toString()));
    try {
      // The first line of its own says that it listens.
      for (let i = 0; heard.length === 0 && i < 100; i++) {
        host.sh(`ip link set neighbour mtu ${1300 + i}`);
        await new Promise((done) => setTimeout(done, 100));
      }
      expect(heard).not.toEqual([]);
      await succeed(ipvlan, 'ADD', given(host, container, {}));
      await succeed(ipvlan, 'DEL', given(host, container, {}));
      host.sh('ip link set neighbour mtu 1299');
      await expect.poll(() => heard.join(''), { timeout: 10_000 }).toContain('mtu 1299');
      const named = heard.join('').match(/^(?:Deleted )?\d+: [^:@]+/gm) ?? [];
      expect(named.filter((line) => !/ (m0|neighbour)$/.test(line))).toEqual([]);
    } finally {
      monitor.kill();
    }
  });
});

describe('in a chain', () => {
  const chained = (...addresses: string[]) => ({
    cniVersion: '1.1.0',
    interfaces: [{ name: 'm0' }],
    ips: addresses.map((address) => ({ address, gateway: '10.1.2.1', interface: 0 })),
    routes: [{ dst: '0.0.0.0/0' }],
    dns: { domain: 'before' },
  });

  test("the one link of prevResult is the master, and its addresses are the link's (ipvlan 9)", async ({
    host,
    container,
  }) => {
    const config = { master: '', ipam: {}, dns: { domain: 'q' } };
    const prevResult = chained('10.1.2.2/24');
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, config, { prevResult }));
    expect(container.sh('ip -br -4 address show eth0')).toContain('10.1.2.2/24');
    expect(container.sh('ip route show default')).toContain('via 10.1.2.1 dev eth0');
    expect(result).toMatchObject({
      interfaces: [{ name: 'eth0', sandbox: container.path }],
      ips: [{ address: '10.1.2.2/24', interface: 0 }],
      dns: { domain: 'q' },
    });
    expect(result?.interfaces).toHaveLength(1);
    const known = given(host, container, config, { prevResult: result });
    await succeed(ipvlan, 'CHECK', known);
    expect(JSON.parse((await succeed(ipvlan, 'REPAIR', known)).stdout)).toEqual({ repaired: [] });
    await succeed(ipvlan, 'DEL', known);
    expect(has(container)).toBe(false);
  });

  test('a dry run tells what it takes from prevResult, and touches nothing', async ({ host, container }) => {
    const config = { master: '', ipam: {} };
    const prevResult = chained('10.1.2.2/24');
    const { stdout } = await succeed(ipvlan, 'PLAN', given(host, container, config, { prevResult }));
    const texts = JSON.parse(stdout).changes.map(({ text }: { text: string }) => text);
    expect(texts).toContain('link eth0, ipvlan on m0');
    expect(texts).toContain('address 10.1.2.2/24 on eth0');
    expect(has(container)).toBe(false);
  });

  test('with a master of its own it takes all addresses, whatever links there are (ipvlan 10, trap 18)', async ({
    host,
    container,
  }) => {
    const prevResult = {
      ...chained('10.1.2.2/24', '10.1.2.3/24'),
      interfaces: [{ name: 'a' }, { name: 'b' }],
    };
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, { ipam: {} }, { prevResult }));
    expect(result?.ips).toMatchObject([
      { address: '10.1.2.2/24', interface: 0 },
      { address: '10.1.2.3/24', interface: 0 },
    ]);
    expect(container.sh('ip -br -4 address show eth0')).toMatch(/10\.1\.2\.2\/24.*10\.1\.2\.3\/24/);
  });

  test("IPAM's addresses come before those of prevResult", async ({ host, container }) => {
    const { ipam } = answers(host);
    const prevResult = chained('10.1.2.2/24');
    await succeed(ipvlan, 'ADD', given(host, container, { ipam }, { prevResult }));
    expect(container.sh('ip -br -4 address show eth0')).toMatch(/ 10\.9\.0\.2\/24/);
    expect(container.sh('ip -br -4 address show eth0')).not.toContain('10.1.2.2');
  });
});

describe('addresses and IPAM', () => {
  test('an address that another container on the master has is refused, and nothing stays (ipvlan 13)', async ({
    host,
    container,
  }) => {
    const { ipam, log } = answers(host);
    await succeed(ipvlan, 'ADD', given(host, container, { ipam }));
    const other = host.container('c2');
    const second = given(host, other, { ipam }, { containerId: 'c2' });
    expect(await message(call(ipvlan, 'ADD', second))).toMatch(
      /^failed to add IP addr 10\.9\.0\.2\/24 to "eth0": address already in use/,
    );
    expect(log()).toEqual(['ADD', 'ADD', 'DEL']);
    expect(has(other)).toBe(false);
  });

  test("IPAM's failure is ADD's, with code and details, and no link stays (ipvlan 12)", async ({
    host,
    container,
  }) => {
    fakeIpam(host.bin, 'fake', { code: 11, msg: 'm', details: 'd' }, 1);
    const { error } = await call(ipvlan, 'ADD', given(host, container, { ipam: { type: 'fake' } }));
    expect(error).toMatchObject({ code: 11, msg: 'm', details: 'd' });
    expect(has(container)).toBe(false);
    const { ipam, log } = answers(host, { ips: undefined, routes: undefined });
    expect(await message(call(ipvlan, 'ADD', given(host, container, { ipam })))).toBe(
      'IPAM plugin returned missing IP config',
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(has(container)).toBe(false);
  });

  test('dual stack: both addresses work at return, and neighbours of a former owner know (traps 6, 7)', async ({
    host,
    container,
  }) => {
    host.sh('ip address add 10.1.2.1/24 dev neighbour; ip -6 address add 2001:db8::1/64 dev neighbour nodad');
    for (const ip of ['10.1.2.2', '2001:db8::2']) {
      host.sh(`ip neigh replace ${ip} lladdr 02:00:00:00:00:01 dev neighbour nud reachable`);
    }
    const ipam = ranges(host, '10.1.2.0/24', '2001:db8::/64');
    await succeed(ipvlan, 'ADD', given(host, container, { ipam }));
    for (const ip of ['10.1.2.2', '2001:db8::2']) host.sh(`ping -c1 -W1 ${ip}`);
    expect(sysctl(container, 'ipv6/conf/eth0/accept_ra')).toBe('0');
  });

  test('an IPv6 address that somebody on the wire has fails ADD, is named, and is given back (trap 8)', async ({
    host,
    container,
  }) => {
    host.sh('ip -6 address add fd00::2/64 dev neighbour nodad');
    const ips = [{ address: 'fd00::2/64', gateway: 'fd00::1' }];
    const { ipam, log } = answers(host, { ips, routes: [] });
    const { error } = await call(ipvlan, 'ADD', given(host, container, { ipam }));
    expect(error?.msg).toContain('link eth0 has address fd00::2 in DADFAILED state');
    expect(error?.code).toBe(11);
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(has(container)).toBe(false);
  });

  test('IPv6 that is off in the container comes on for this link (trap 22)', async ({ host, container }) => {
    container.sh(`ip link add other type dummy; ip link set other up
      for one in default all; do echo 1 >/proc/sys/net/ipv6/conf/$one/disable_ipv6; done`);
    await succeed(ipvlan, 'ADD', given(host, container, { ipam: ranges(host, '2001:db8::/64') }));
    expect(container.sh('ip -br -6 address show dev eth0')).toContain('2001:db8::2/64');
    expect(sysctl(container, 'ipv6/conf/other/disable_ipv6')).toBe('1');
  });

  test('a default route of another link stays the better one, and the log says so (trap 14)', async ({
    host,
    container,
  }) => {
    container.sh(`ip link add net0 type dummy; ip link set net0 up; ip address add 10.5.0.2/24 dev net0
      ip -6 address add 2001:db8:5::2/64 dev net0 nodad; ip route add default via 10.5.0.1
      ip -6 route add default via 2001:db8:5::1`);
    const { ipam } = answers(host, {
      ips: [
        { address: '10.9.0.2/24', gateway: '10.9.0.1' },
        { address: '2001:db8:9::2/64', gateway: '2001:db8:9::1' },
      ],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
    });
    const { result, stderr } = await succeed(ipvlan, 'ADD', given(host, container, { ipam }));
    expect(stderr).toContain('the container has a route 0.0.0.0/0 out of another link');
    expect(container.sh('ip route get 198.51.100.1')).toContain('dev net0');
    expect(container.sh('ip -6 route get 2001:db8:ffff::1')).toContain('dev net0');
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev eth0 metric 100');
    expect(container.sh('ip -6 route')).not.toContain('nexthop');
    await succeed(ipvlan, 'CHECK', given(host, container, { ipam }, { prevResult: result }));
  });

  test("DNS of the configuration is in the result, else IPAM's", async ({ host, container }) => {
    writeFileSync(`${host.dir}/resolv.conf`, 'nameserver 10.1.2.53\n');
    const ipam = { ...ranges(host, '10.1.2.0/24'), resolvConf: `${host.dir}/resolv.conf` };
    const dnsOf = async (config: object) => {
      const { result } = await succeed(ipvlan, 'ADD', given(host, container, config));
      await succeed(ipvlan, 'DEL', given(host, container, config));
      return result?.dns;
    };
    expect(await dnsOf({ ipam, dns: { domain: 'z' } })).toEqual({ domain: 'z' });
    expect(await dnsOf({ ipam })).toEqual({ nameservers: ['10.1.2.53'] });
  });
});

describe('CHECK, DEL, STATUS', () => {
  test("CHECK compares mode and MAC, and knows an ADD's result (ipvlan 17, 18)", async ({
    host,
    container,
  }) => {
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, {}));
    const checked = (config: object, prevResult: object = result ?? {}) =>
      call(ipvlan, 'CHECK', given(host, container, config, { prevResult }));
    expect((await checked({})).stdout).toBe('');
    expect(await message(checked({ mode: 'l3' }))).toBe(
      'Container IPVlan mode l2 does not match expected value: l3',
    );
    const { address } = own(container);
    const interfaces = [{ name: 'eth0', mac: '02:00:00:00:00:09', sandbox: container.path }];
    expect(await message(checked({}, { ...result, interfaces }))).toBe(
      `Interface eth0 Mac 02:00:00:00:00:09 doesn't match container Mac: ${address}`,
    );
    expect(await message(checked({ master: 'lo' }))).toMatch(/is on link \d+, not on its master "lo"/);
  });

  test('CHECK asks IPAM, whose failure it is (ipvlan 19)', async ({ host, container }) => {
    const { ipam } = answers(host);
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, { ipam }));
    const bad = `#!/bin/sh\ncat >/dev/null\necho '{"code": 7, "msg": "not there"}'\nexit 1\n`;
    writeProgram(`${host.bin}/fake`, bad);
    const { error } = await call(ipvlan, 'CHECK', given(host, container, { ipam }, { prevResult: result }));
    expect(error).toMatchObject({ code: 7, msg: 'not there' });
  });

  test('a master that went away: CHECK names it and the link, DEL works twice (ipvlan 15, trap 16)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(ipvlan, 'ADD', given(host, container, {}));
    const known = given(host, container, {}, { prevResult: result });
    host.sh('ip link del m0');
    expect(await message(call(ipvlan, 'CHECK', known))).toMatch(
      /^failed to lookup master "m0": Link not found.*"eth0", which stood on it, is gone, too/,
    );
    for (let i = 0; i < 2; i++) await succeed(ipvlan, 'DEL', known);
  });

  test('DEL of a link that has no alias goes by what prevResult tells, addresses included', async ({
    host,
    container,
  }) => {
    const config = given(host, container, {});
    const { result } = await succeed(ipvlan, 'ADD', config);
    container.sh('ip link set eth0 alias ""; ip address flush dev eth0; ip address add 10.1.2.9/24 dev eth0');
    await succeed(ipvlan, 'DEL', { ...config, prevResult: result });
    expect(has(container), 'it has the addresses of another attachment').toBe(true);
    container.sh('ip address flush dev eth0; ip address add 10.1.2.2/24 dev eth0');
    await succeed(ipvlan, 'DEL', { ...config, prevResult: result });
    expect(has(container)).toBe(false);
  });

  test('STATUS passes where ADD would, asks IPAM, and needs none in a chain (ipvlan 20)', async ({
    host,
    container,
  }) => {
    const { ipam, log } = answers(host);
    expect((await succeed(ipvlan, 'STATUS', given(host, container, { ipam }))).stdout).toBe('');
    expect(log()).toEqual(['STATUS']);
    await succeed(ipvlan, 'STATUS', given(host, container, { ipam: {}, master: '' }));
  });

  test("STATUS warns of addresses of the master's own subnet in l3 and l3s, and of no others (trap 3)", async ({
    host,
    container,
  }) => {
    host.sh('ip address add 10.1.2.1/24 dev m0');
    const log = async (config: object) =>
      (await succeed(ipvlan, 'STATUS', given(host, container, config))).stderr;
    expect(await log({ mode: 'l3s' })).toContain(
      'the addresses of 10.1.2.0/24 lie in the subnet of "m0" (10.1.2.1/24)',
    );
    expect(await log({})).toBe('');
    expect(await log({ mode: 'l3s', ipam: ranges(host, '10.1.3.0/24') })).toBe('');
    const plain = { type: 'host-local', dataDir: `${host.dir}/networks`, subnet: '10.1.0.0/16' };
    expect(await log({ mode: 'l3', ipam: plain })).toContain('10.1.0.0/16');
  });
});
