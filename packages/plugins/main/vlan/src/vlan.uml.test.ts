/** VLANs need a kernel that has them: these run in user-mode Linux (`npm test` boots it). */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { hostDevice } from '@cni-ts/host-device/host-device';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { test as base, type Container, type Host } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { vlan } from './vlan.ts';

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

/** A VLAN of a link exists once, so each container has one of its own; that of c1 stands in the configuration. */
function ownVlan(containerId: string): object {
  if (containerId === 'c1') return {};
  let sum = 0;
  for (const letter of containerId) sum = (sum * 31 + letter.charCodeAt(0)) % 4000;
  return { vlanId: 10 + sum };
}

ownLinks(
  vlan,
  {
    title: 'vlan, with a name that the host has too',
    plugins,
    prepare(host) {
      wire(host);
      host.sh('ip link set m0 down; ip link set m0 name eth0 up');
    },
    config: (host) => ({ master: 'eth0', vlanId: 5, ipam: ranges(host, '10.1.2.0/24') }),
    runtime: ownVlan,
  },
  { hostLinks: false },
);

conformance(vlan, [
  {
    title: 'vlan, dual stack',
    plugins,
    prepare: wire,
    config: (host) => ({
      master: 'm0',
      vlanId: 5,
      mtu: 1300,
      ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64'),
    }),
    runtime: ownVlan,
    tamperings: {
      'the link is gone': {
        by: (_, c) => c.sh('ip link del eth0'),
        says: /^vlan: Container Interface name in prevResult: eth0 not found/,
      },
      'an address is gone': {
        by: (_, c) => c.sh('ip address flush dev eth0 scope global'),
        says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
      },
      'another MAC': {
        by: (_, c) => c.sh('ip link set eth0 address 02:00:00:00:00:09'),
        says: /^vlan: Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:09/,
      },
      'another VLAN': {
        by(h, c) {
          c.sh('ip link del eth0');
          h.sh(
            `ip link add moving link m0 type vlan id 6; ip link set moving netns ${c.path} name eth0 mtu 1300`,
          );
          c.sh('ip link set eth0 up');
        },
        says: /^Error: Tuning link eth0 configured promisc is 5, current value is 6: the VLAN ID/,
      },
      'it is on another master': {
        by(h, c) {
          const mac = c.sh('ip -o link show eth0').match(/ether (\S+)/)?.[1];
          c.sh('ip link del eth0');
          h.sh(`ip link add elsewhere type veth peer name x; ip link set elsewhere up; ip link set x up
            ip link add moving link elsewhere address ${mac} type vlan id 5
            ip link set moving netns ${c.path} name eth0 mtu 1300`);
          c.sh('ip link set eth0 up');
        },
        says: /^container interface eth0 is on link \d+, not on its master "m0"/,
      },
      'another MTU': {
        by: (_, c) => c.sh('ip link set eth0 mtu 1290'),
        says: /^Error: Tuning configured MTU of eth0 is 1300, current value is 1290/,
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
  const own = { cniVersion: '1.1.0', name: 'net1', type: 'vlan', master: 'm0', vlanId: 5 };
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
  test("is the master's VLAN with the address IPAM gave, and nothing is on the host (vlan 1)", async ({
    host,
    container,
  }) => {
    const { ipam } = answers(host);
    const before = host.sh('ip -br link');
    const { result } = await succeed(vlan, 'ADD', given(host, container, { ipam }));
    const master = json(host.sh('ip -j link show m0'))[0];
    expect(own(container)).toMatchObject({
      link_index: master.ifindex,
      address: master.address,
      mtu: 1400,
      txqlen: 1000,
      flags: expect.arrayContaining(['UP']),
      linkinfo: { info_kind: 'vlan', info_data: { protocol: '802.1Q', id: 5, flags: ['REORDER_HDR'] } },
    });
    expect(container.sh('ip -br -4 address show eth0')).toContain('10.9.0.2/24');
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev eth0');
    expect(result).toMatchObject({
      interfaces: [{ name: 'eth0', mac: master.address, sandbox: container.path }],
      ips: [{ address: '10.9.0.2/24', interface: 0 }],
    });
    expect(host.sh('ip -br link')).toBe(before);
    expect([
      sysctl(container, 'ipv4/conf/eth0/arp_notify'),
      sysctl(container, 'ipv6/conf/eth0/ndisc_notify'),
    ]).toEqual(['1', '1']);
  });

  test('has VLAN ID 0 when none is configured, and may have 4094 (vlan 2, trap 10)', async ({
    host,
    container,
  }) => {
    for (const [vlanId, id] of [
      [undefined, 0],
      [4094, 4094],
    ]) {
      await succeed(vlan, 'ADD', given(host, container, { vlanId }));
      expect(own(container).linkinfo.info_data.id).toBe(id);
      await succeed(vlan, 'DEL', given(host, container, { vlanId }));
    }
  });

  test("has the mtu asked for, up to the master's (vlan 5)", async ({ host, container }) => {
    for (const mtu of [1300, 1400, 20]) {
      await succeed(vlan, 'ADD', given(host, container, { mtu }));
      expect(own(container).mtu).toBe(mtu);
      await succeed(vlan, 'DEL', given(host, container, { mtu }));
    }
  });

  test('of an ID that is taken is refused with the ID, the master and where it is (vlan 6, trap 1)', async ({
    host,
    container,
  }) => {
    await succeed(vlan, 'ADD', given(host, container, {}));
    const other = host.container('c2');
    const second = given(host, other, {}, { containerId: 'c2' });
    const refused = await message(call(vlan, 'ADD', second));
    expect(refused).toMatch(/^failed to create vlan: file exists/);
    expect(refused).toContain('VLAN 5 of "m0" exists already');
    expect(refused).toContain('it is in another namespace');
    expect(has(other)).toBe(false);
    await succeed(vlan, 'DEL', given(host, container, {}));
    host.sh('ip link add link m0 name here type vlan id 5');
    expect(await message(call(vlan, 'ADD', second))).toContain('it is "here" here');
    host.sh('ip link del here');
    await succeed(vlan, 'ADD', second);
  });

  test('stands on a link of the container where linkInContainer says so (vlan 7)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add m1 type dummy; ip link set m1 up');
    const inside = { master: 'm1', linkInContainer: true };
    const { result } = await succeed(vlan, 'ADD', given(host, container, inside));
    expect(own(container)).toMatchObject({ link: 'm1', linkinfo: { info_data: { id: 5 } } });
    await succeed(vlan, 'CHECK', given(host, container, inside, { prevResult: result }));
    const second = given(host, container, inside, { ifname: 'eth1' });
    expect(await message(call(vlan, 'ADD', second))).toMatch(
      /^failed to create vlan: file exists.*VLAN 5 of "m1" exists already.*it is "eth0" here/,
    );
    expect(has(container, 'eth1')).toBe(false);
  });

  test('is refused while its master is down, which the error names, and the address is given back (vlan 8, trap 8)', async ({
    host,
    container,
  }) => {
    const { ipam, log } = answers(host);
    host.sh('ip link set m0 down');
    expect(await message(call(vlan, 'ADD', given(host, container, { ipam })))).toBe(
      'failed to set "eth0" UP: network is down: its master "m0" is down, and has to be up first',
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(has(container)).toBe(false);
  });

  test('whose name the container has already is refused, and its ID is free at once (vlan 9, trap 2)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add eth0 type dummy; ip address add 10.7.0.1/24 dev eth0');
    const before = snapshot(container.netns);
    expect(await message(call(vlan, 'ADD', given(host, container, {})))).toBe(
      'failed to rename vlan to "eth0": file exists: the container has a link of that name (dummy)',
    );
    expect(snapshot(container.netns)).toEqual(before);
    await succeed(vlan, 'ADD', given(host, container, {}, { ifname: 'eth1' }));
    await succeed(vlan, 'DEL', given(host, container, {}));
    expect(has(container)).toBe(true);
  });

  test('on a link that carries no VLANs is refused with that link (trap 9)', async ({ host, container }) => {
    host.sh('ip link set lo up');
    expect(await message(call(vlan, 'ADD', given(host, container, { master: 'lo' })))).toMatch(
      /^failed to create vlan: operation not supported.*: "lo" cannot carry vlan links/,
    );
  });

  test('may have the tag of 802.1ad, and another VLAN within, and both tags are on the wire (trap 13)', async ({
    host,
    container,
  }) => {
    host.sh(`ip link add link neighbour name outer type vlan protocol 802.1ad id 4
      ip link add link outer name inner type vlan id 5; ip link set outer up; ip link set inner up
      ip address add 10.1.2.1/24 dev inner`);
    const outer = { vlanId: 4, protocol: '802.1ad', ipam: ranges(host, '10.1.3.0/24') };
    const { result } = await succeed(vlan, 'ADD', given(host, container, outer));
    expect(own(container).linkinfo.info_data).toMatchObject({ protocol: '802.1ad', id: 4 });
    await succeed(vlan, 'CHECK', given(host, container, outer, { prevResult: result }));
    const within = { master: 'eth0', linkInContainer: true };
    await succeed(vlan, 'ADD', given(host, container, { ...within, name: 'net2' }, { ifname: 'eth1' }));
    expect(container.succeeds('ping -c1 -W3 -I eth1 10.1.2.1')).toBe(true);
    const tagless = given(host, container, { vlanId: 4 }, { prevResult: result });
    expect(await message(call(vlan, 'CHECK', tagless))).toContain(
      'container interface eth0 has VLAN protocol 802.1ad, not 802.1q',
    );
  });

  test('comes and goes without any event of another link on the host (trap 3)', async ({
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
      await succeed(vlan, 'ADD', given(host, container, {}));
      await succeed(vlan, 'DEL', given(host, container, {}));
      host.sh('ip link set neighbour mtu 1299');
      await expect.poll(() => heard.join(''), { timeout: 10_000 }).toContain('mtu 1299');
      const named = heard.join('').match(/^(?:Deleted )?\d+: [^:@]+/gm) ?? [];
      expect(named.filter((line) => !/ (m0|neighbour)$/.test(line))).toEqual([]);
    } finally {
      monitor.kill();
    }
  });
});

describe('addresses and IPAM', () => {
  test('dual stack: both addresses work in the VLAN at return, and neighbours of a former owner know (trap 14)', async ({
    host,
    container,
  }) => {
    host.sh(`ip link add link neighbour name n5 type vlan id 5; ip link set n5 up
      ip address add 10.1.2.1/24 dev n5; ip -6 address add 2001:db8::1/64 dev n5 nodad`);
    for (const ip of ['10.1.2.2', '2001:db8::2']) {
      host.sh(`ip neigh replace ${ip} lladdr 02:00:00:00:00:01 dev n5 nud reachable`);
    }
    const ipam = ranges(host, '10.1.2.0/24', '2001:db8::/64');
    await succeed(vlan, 'ADD', given(host, container, { ipam }));
    for (const ip of ['10.1.2.2', '2001:db8::2']) host.sh(`ping -c1 -W1 ${ip}`);
    const { address } = own(container);
    expect(host.sh('ip neigh show dev n5')).toMatch(new RegExp(`10\\.1\\.2\\.2 lladdr ${address}`));
    expect(sysctl(container, 'ipv6/conf/eth0/accept_ra')).toBe('0');
  });

  test('IPv6 that is off in the container comes on for this link', async ({ host, container }) => {
    container.sh(`ip link add other type dummy; ip link set other up
      for one in default all; do echo 1 >/proc/sys/net/ipv6/conf/$one/disable_ipv6; done`);
    await succeed(vlan, 'ADD', given(host, container, { ipam: ranges(host, '2001:db8::/64') }));
    expect(container.sh('ip -br -6 address show dev eth0')).toContain('2001:db8::2/64');
    expect(sysctl(container, 'ipv6/conf/other/disable_ipv6')).toBe('1');
  });

  test("IPAM's failure keeps its code and details, behind vlan's words (vlan 11, trap 11)", async ({
    host,
    container,
  }) => {
    fakeIpam(host.bin, 'fake', { code: 11, msg: 'try later', details: 'det' }, 1);
    const { error } = await call(vlan, 'ADD', given(host, container, { ipam: { type: 'fake' } }));
    expect(error).toMatchObject({
      code: 11,
      msg: 'failed to execute IPAM delegate: try later',
      details: 'det',
    });
    expect(has(container)).toBe(false);
  });

  test('a route that cannot be made gives link and address back (vlan 12)', async ({ host, container }) => {
    const { ipam, log } = answers(host, { routes: [{ dst: '10.77.0.0/16', gw: '10.250.0.1' }] });
    expect(await message(call(vlan, 'ADD', given(host, container, { ipam })))).toMatch(
      /^failed to add route '10\.77\.0\.0\/16 via 10\.250\.0\.1 dev eth0/,
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(has(container)).toBe(false);
  });

  test('an IPAM without addresses is refused, and nothing stays', async ({ host, container }) => {
    const { ipam, log } = answers(host, { ips: undefined, routes: undefined });
    expect(await message(call(vlan, 'ADD', given(host, container, { ipam })))).toBe(
      'IPAM plugin returned missing IP config',
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(has(container)).toBe(false);
  });

  test("DNS of the configuration is in the result, else IPAM's (vlan 13)", async ({ host, container }) => {
    writeFileSync(`${host.dir}/resolv.conf`, 'nameserver 10.1.2.53\n');
    const ipam = { ...ranges(host, '10.1.2.0/24'), resolvConf: `${host.dir}/resolv.conf` };
    const dnsOf = async (config: object) => {
      const { result } = await succeed(vlan, 'ADD', given(host, container, config));
      await succeed(vlan, 'DEL', given(host, container, config));
      return result?.dns;
    };
    expect(await dnsOf({ ipam, dns: { domain: 'z' } })).toEqual({ domain: 'z' });
    expect(await dnsOf({ ipam })).toEqual({ nameservers: ['10.1.2.53'] });
    expect(await dnsOf({})).toBeUndefined();
  });

  test('a default route of another link stays the better one, and the log says so (trap 15)', async ({
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
    const { result, stderr } = await succeed(vlan, 'ADD', given(host, container, { ipam }));
    expect(stderr).toContain('the container has a route 0.0.0.0/0 out of another link');
    expect(container.sh('ip route get 198.51.100.1')).toContain('dev net0');
    expect(container.sh('ip -6 route get 2001:db8:ffff::1')).toContain('dev net0');
    expect(container.sh('ip route show default')).toContain('via 10.9.0.1 dev eth0 metric 100');
    expect(container.sh('ip -6 route show default')).toContain('via 2001:db8:9::1 dev eth0 metric 1124');
    expect(container.sh('ip -6 route')).not.toContain('nexthop');
    await succeed(vlan, 'CHECK', given(host, container, { ipam }, { prevResult: result }));
  });

  test('answers in the words of its version (vlan 19)', async ({ host, container }) => {
    const { ipam } = answers(host);
    const answer = async (cniVersion: string) => {
      const { stdout } = await succeed(vlan, 'ADD', given(host, container, { ipam, cniVersion }));
      await succeed(vlan, 'DEL', given(host, container, { ipam, cniVersion }));
      return JSON.parse(stdout);
    };
    expect(await answer('0.2.0')).toEqual({
      cniVersion: '0.2.0',
      ip4: { ip: '10.9.0.2/24', gateway: '10.9.0.1', routes: [{ dst: '0.0.0.0/0' }] },
      dns: {},
    });
    expect(await answer('0.4.0')).toMatchObject({ ips: [{ version: '4', interface: 0 }], dns: {} });
  });
});

describe('CHECK and DEL', () => {
  test('CHECK compares the ID, and the mtu where one is configured (vlan 15, trap 5)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(vlan, 'ADD', given(host, container, {}));
    const checked = (config: object) =>
      message(call(vlan, 'CHECK', given(host, container, config, { prevResult: result })));
    expect(await checked({})).toBe('');
    expect(await checked({ vlanId: 6 })).toBe(
      'Error: Tuning link eth0 configured promisc is 6, current value is 5: the VLAN ID',
    );
    expect(await checked({ mtu: 1300 })).toBe(
      'Error: Tuning configured MTU of eth0 is 1300, current value is 1400',
    );
    // The kernel lowers it with the master's, and does not raise it again.
    host.sh('ip link set m0 mtu 1350; ip link set m0 mtu 1400');
    expect(own(container).mtu).toBe(1350);
    expect(await checked({})).toBe('');
    expect(await checked({ mtu: 1400 })).toContain('is 1400, current value is 1350');
  });

  test('CHECK finds another master, which only has to be there (vlan 17, trap 16)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(vlan, 'ADD', given(host, container, {}));
    const checked = (config: object) =>
      message(call(vlan, 'CHECK', given(host, container, config, { prevResult: result })));
    expect(await checked({ master: 'lo' })).toMatch(/is on link \d+, not on its master "lo"/);
    expect(await checked({ master: 'nope' })).toMatch(/^failed to lookup master "nope": Link not found/);
  });

  test('a master that was made anew: CHECK tells, DEL works, and so does the next ADD (trap 18)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(vlan, 'ADD', given(host, container, {}));
    const known = given(host, container, {}, { prevResult: result });
    host.sh('ip link del m0');
    expect(await message(call(vlan, 'CHECK', known))).toMatch(
      /^failed to lookup master "m0": Link not found.*"eth0", which stood on it, is gone, too/,
    );
    wire(host);
    expect(await message(call(vlan, 'CHECK', known))).toMatch(/eth0 not found/);
    for (let i = 0; i < 2; i++) await succeed(vlan, 'DEL', known);
    await succeed(vlan, 'ADD', given(host, host.container('c2'), {}, { containerId: 'c2' }));
  });

  test('DEL succeeds after the link within the container that it stands on was taken away (trap 7)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add net1 type dummy; ip link set net1 up');
    const inside = given(
      host,
      container,
      { master: 'net1', linkInContainer: true },
      { ifname: 'net2', containerId: 'c7' },
    );
    const { result } = await succeed(vlan, 'ADD', inside);
    container.sh('ip link del net1');
    for (let i = 0; i < 2; i++) await succeed(vlan, 'DEL', { ...inside, prevResult: result });
    const netns = container.path;
    container.remove();
    await succeed(vlan, 'DEL', { ...inside, container: undefined, netns, prevResult: result });
    expect(host.sh(`ls ${host.dir}/networks/net1 | grep -c ^10 || true`).trim()).toBe('0');
  });

  test('DEL succeeds after host-device took the device home that it stands on, and the device is whole (trap 7)', async ({
    host,
    container,
  }) => {
    const device = {
      cniVersion: '1.1.0',
      name: 'net0',
      type: 'host-device',
      device: 'm0',
      dataDir: `${host.dir}/devices`,
    };
    const outer: Call = { config: device, container, ifname: 'net1', containerId: 'c7' };
    await succeed(hostDevice, 'ADD', outer);
    const inside = given(
      host,
      container,
      { master: 'net1', linkInContainer: true },
      { ifname: 'net2', containerId: 'c7' },
    );
    const { result } = await succeed(vlan, 'ADD', inside);
    await succeed(hostDevice, 'DEL', outer);
    expect(host.sh('ip -br link show m0')).toContain('UP');
    for (let i = 0; i < 2; i++) await succeed(vlan, 'DEL', { ...inside, prevResult: result });
    expect(has(container)).toBe(false);
    expect(host.sh(`ls ${host.dir}/networks/net1 | grep -c ^10 || true`).trim()).toBe('0');
  });

  test('DEL of a link that has no alias goes by what prevResult tells, addresses included', async ({
    host,
    container,
  }) => {
    const config = given(host, container, {});
    const { result } = await succeed(vlan, 'ADD', config);
    container.sh('ip link set eth0 alias ""; ip address flush dev eth0; ip address add 10.1.2.9/24 dev eth0');
    await succeed(vlan, 'DEL', { ...config, prevResult: result });
    expect(has(container), 'it has the addresses of another attachment').toBe(true);
    container.sh('ip address flush dev eth0; ip address add 10.1.2.2/24 dev eth0');
    await succeed(vlan, 'DEL', { ...config, prevResult: result });
    expect(has(container)).toBe(false);
  });

  test('DEL takes what an ADD left that was killed before the link had its name, and the ID is free', async ({
    host,
    container,
  }) => {
    const first = hostLinkName('vlan', 'net1', 'c1', 'eth0');
    host.sh(`ip link add ${first} link m0 type vlan id 5; ip link set ${first} netns ${container.path}`);
    const config = given(host, container, {});
    expect(await message(call(vlan, 'ADD', config))).toMatch(/^failed to create vlan: file exists/);
    await succeed(vlan, 'DEL', config);
    await succeed(vlan, 'ADD', config);
  });

  test('STATUS passes where ADD would, and asks IPAM (vlan 20)', async ({ host, container }) => {
    const { ipam, log } = answers(host);
    expect((await succeed(vlan, 'STATUS', given(host, container, { ipam }))).stdout).toBe('');
    expect(log()).toEqual(['STATUS']);
    expect(await message(call(vlan, 'STATUS', given(host, container, { ipam: {} })))).toBe(
      'no plugin name provided',
    );
  });

  test('ADD does not look at prevResult (vlan 18)', async ({ host, container }) => {
    await succeed(vlan, 'ADD', given(host, container, {}, { prevResult: { cniVersion: 'zz', ips: 3 } }));
  });
});
