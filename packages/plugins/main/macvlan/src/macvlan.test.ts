import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { test as base, type Container, type Host } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { advertiseRouter, takesAdvertisements } from '@cni-ts/testing/router-advertisement';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { macvlan } from './macvlan.ts';

const plugins = [hostLocal];
const hasTcpdump = spawnSync('sh', ['-c', 'command -v tcpdump']).status === 0;

/** A wire to stand on: m0 on the host, and a neighbour at its other end. */
function wire(host: Host): void {
  host.sh('ip link add m0 type veth peer name neighbour; ip link set m0 up; ip link set neighbour up');
}

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

function ranges(host: Host, ...subnets: string[]): object {
  return {
    type: 'host-local',
    dataDir: `${host.dir}/networks`,
    ranges: subnets.map((subnet) => [{ subnet }]),
  };
}

ownLinks(
  macvlan,
  {
    title: 'macvlan',
    plugins,
    prepare: wire,
    config: (host) => ({ master: 'm0', ipam: ranges(host, '10.1.2.0/24') }),
  },
  { hostLinks: false },
);

ownLinks(
  macvlan,
  {
    title: 'macvlan with a name that the host has too',
    plugins,
    prepare(host) {
      wire(host);
      host.sh('ip link set m0 name eth0');
    },
    config: (host) => ({ master: 'eth0', ipam: ranges(host, '10.1.2.0/24') }),
  },
  { hostLinks: false },
);

conformance(macvlan, [
  {
    title: 'macvlan, dual stack',
    plugins,
    prepare: wire,
    config: (host) => ({ master: 'm0', ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64') }),
    tamperings: {
      'the link is gone': { by: (_, c) => c.sh('ip link del eth0'), says: /eth0/ },
      'an address is gone': {
        by: (_, c) => c.sh('ip address flush dev eth0 scope global'),
        says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
      },
      'another MAC': {
        by: (_, c) => c.sh('ip link set eth0 address 02:00:00:00:00:09'),
        says: /eth0.*02:00:00:00:00:09/,
      },
      'the mode was changed': {
        by: (_, c) => c.sh('ip link set eth0 type macvlan mode private'),
        says: /^container macvlan mode private does not match expected value: bridge/,
      },
      'it is on another master': {
        by(h, c) {
          const mac = c.sh('ip -o link show eth0').match(/ether (\S+)/)?.[1];
          c.sh('ip link del eth0');
          h.sh(`ip link add elsewhere type veth peer name x; ip link set elsewhere up; ip link set x up
            ip link add moving link elsewhere address ${mac} type macvlan mode bridge
            ip link set moving netns ${c.path} name eth0`);
          c.sh('ip link set eth0 up');
        },
        says: /^container interface eth0 is on link \d+, not on its master "m0"/,
      },
    },
  },
  {
    title: 'macvlan without IPAM',
    withoutAddress: true,
    prepare: wire,
    config: () => ({ master: 'm0', mode: 'private', mtu: 1400 }),
  },
]);

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'macvlan', master: 'm0', ...config };
  return { config: full, container, path: host.bin, plugins, ...more };
}

const json = (text: string) => JSON.parse(text.trim() || '[]');
const own = (container: Container) => json(container.sh('ip -j -d link show eth0'))[0];
const sysctl = (place: Container, key: string) => place.sh(`cat /proc/sys/net/${key}`).trim();

describe('the link', () => {
  test('is a macvlan in bridge mode with the address IPAM gave, announced to neighbours (macvlan 1)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(
      macvlan,
      'ADD',
      given(host, container, { ipam: ranges(host, '10.1.2.0/24') }),
    );
    expect(own(container)).toMatchObject({
      link_index: json(host.sh('ip -j link show m0'))[0].ifindex,
      flags: expect.arrayContaining(['UP']),
      linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
    });
    expect(container.sh('ip -br -4 address show eth0')).toContain('10.1.2.2/24');
    expect(result?.interfaces).toHaveLength(1);
    expect(result?.ips).toMatchObject([{ address: '10.1.2.2/24', interface: 0 }]);
    expect([
      sysctl(container, 'ipv4/conf/eth0/arp_notify'),
      sysctl(container, 'ipv6/conf/eth0/ndisc_notify'),
    ]).toEqual(['1', '1']);
    expect(container.sh('ip route show default')).toBe('');
  });

  test('without IPAM is up and has no address (macvlan 2)', async ({ host, container }) => {
    const { result } = await succeed(macvlan, 'ADD', given(host, container, { ipam: {} }));
    expect(container.sh('ip -br link show eth0')).toContain('UP');
    expect(sysctl(container, 'ipv4/conf/eth0/arp_notify')).toBe('0');
    expect(result).not.toHaveProperty('ips');
  });

  test.for(['private', 'vepa', 'passthru'])(
    'may be in mode %s (macvlan 3)',
    async (mode, { host, container }) => {
      await succeed(macvlan, 'ADD', given(host, container, { mode }));
      expect(own(container).linkinfo.info_data.mode).toBe(mode);
    },
  );

  test('in passthru mode has the MAC of its master, which takes no second one (macvlan 4)', async ({
    host,
    container,
  }) => {
    await succeed(macvlan, 'ADD', given(host, container, { mode: 'passthru' }));
    expect(own(container).address).toBe(json(host.sh('ip -j link show m0'))[0].address);
    const second = given(host, host.container('c2'), { mode: 'passthru' }, { containerId: 'c2' });
    expect(await message(call(macvlan, 'ADD', second))).toMatch(
      /^failed to create macvlan: invalid argument/,
    );
  });

  test('has the MTU asked for, up to that of its master (macvlan 5)', async ({ host, container }) => {
    for (const [mtu, expected] of [
      [0, 1500],
      [1400, 1400],
    ]) {
      await succeed(macvlan, 'ADD', given(host, container, { mtu }));
      expect(own(container).mtu).toBe(expected);
      await succeed(macvlan, 'DEL', given(host, container, { mtu }));
    }
    for (const mtu of [1501, -1]) {
      const text = `invalid MTU ${mtu}, must be [0, master MTU(1500)]`;
      expect(await message(call(macvlan, 'ADD', given(host, container, { mtu })))).toContain(text);
    }
    expect(await message(call(macvlan, 'ADD', given(host, container, { mtu: 10 })))).toMatch(
      /^failed to create macvlan: invalid argument/,
    );
  });

  test('has the broadcast queue asked for (macvlan 6)', async ({ host, container }) => {
    await succeed(macvlan, 'ADD', given(host, container, { bcqueuelen: 500 }));
    expect(container.sh('ip -d link show eth0')).toMatch(/bcqueuelen 500/);
    await succeed(macvlan, 'DEL', given(host, container, {}));
    await succeed(macvlan, 'ADD', given(host, container, {}));
    expect(container.sh('ip -d link show eth0')).toMatch(/bcqueuelen 1000/);
  });

  test('gets its MAC from the runtime, else CNI_ARGS, else the configuration (macvlan 7)', async ({
    host,
    container,
  }) => {
    const mac = '02:00:00:00:00:01';
    const args = 'IgnoreUnknown=1;K8S=1;MAC=02:00:00:00:00:02';
    const runtimeConfig = { mac: '02:00:00:00:00:03' };
    const tries: [object, Partial<Call>, string][] = [
      [{ mac, runtimeConfig }, { args }, '02:00:00:00:00:03'],
      [{ mac }, { args }, '02:00:00:00:00:02'],
      [{ mac, args: { cni: { mac: '02:00:00:00:00:04' } } }, {}, mac],
    ];
    for (const [config, more, expected] of tries) {
      const one = given(host, container, config, more);
      const { result } = await succeed(macvlan, 'ADD', one);
      expect([own(container).address, result?.interfaces?.[0]?.mac]).toEqual([expected, expected]);
      await succeed(macvlan, 'DEL', one);
    }
  });

  test('takes no MAC that is none or multicast (macvlan 8)', async ({ host, container }) => {
    expect(await message(call(macvlan, 'ADD', given(host, container, { mac: 'foo' })))).toBe(
      'invalid args foo for MAC addr: address foo: invalid MAC address',
    );
    const multicast = given(host, container, { mac: '01:00:00:00:00:01' });
    expect(await message(call(macvlan, 'ADD', multicast))).toMatch(
      /^failed to create macvlan: cannot assign requested address/,
    );
  });

  test('malformed CNI_ARGS stop ADD and CHECK, not DEL (macvlan 9)', async ({ host, container }) => {
    const bad = given(host, container, {}, { args: 'MAC' });
    for (const command of ['ADD', 'CHECK'] as const) {
      expect(await message(call(macvlan, command, bad))).toBe('ARGS: invalid pair "MAC"');
    }
    await succeed(macvlan, 'DEL', bad);
  });
});

describe('the master', () => {
  test('is that of the default route when none is named (macvlan 10)', async ({ host, container }) => {
    const none = given(host, container, { master: '' });
    expect(await message(call(macvlan, 'ADD', none))).toContain('no default route interface found');
    host.sh('ip address add 192.0.2.1/24 dev m0; ip route add default via 192.0.2.9 dev m0');
    await succeed(macvlan, 'ADD', none);
    expect(own(container).linkinfo.info_kind).toBe('macvlan');
  });

  test('is that of the IPv4 default route before IPv6, and of the lowest metric (macvlan 10)', async ({
    host,
    container,
  }) => {
    const none = given(host, container, { master: '' });
    const master = async () => {
      await succeed(macvlan, 'ADD', none);
      const index = own(container).link_index;
      await succeed(macvlan, 'DEL', none);
      const links = json(host.sh('ip -j link')) as { ifindex: number; ifname: string }[];
      return links.find(({ ifindex }) => ifindex === index)?.ifname;
    };
    host.sh(`for n in six far near; do
        ip link add $n type veth peer name $n-peer; ip link set $n up; ip link set $n-peer up
      done
      ip -6 address add 2001:db8::1/64 dev six nodad; ip -6 route add default via 2001:db8::9 dev six`);
    expect(await master()).toBe('six');
    host.sh('ip address add 192.0.2.1/24 dev far; ip route add default via 192.0.2.9 dev far metric 200');
    expect(await master()).toBe('far');
    host.sh(
      'ip address add 198.51.100.1/24 dev near; ip route add default via 198.51.100.9 dev near metric 100',
    );
    expect(await master()).toBe('near');
    host.sh(`ip route del default; ip route del default
      ip route add default nexthop via 192.0.2.9 dev far nexthop via 198.51.100.9 dev near`);
    expect(await message(call(macvlan, 'ADD', none))).toMatch(/default route leads out of several links/);
  });

  test('that does not exist is refused before IPAM is asked (macvlan 11)', async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.1.2.2/24' }] });
    const nope = given(host, container, { master: 'nope', ipam: { type: 'fake' } });
    expect(await message(call(macvlan, 'ADD', nope))).toContain('Link not found');
    expect(log()).toEqual([]);
  });

  test('whose name no link can have is said to be too long; an alternative name may be so long', async ({
    host,
    container,
  }) => {
    const name = 'the-uplink-of-this-host';
    expect(await message(call(macvlan, 'ADD', given(host, container, { master: name })))).toContain(
      `Link not found: "${name}", which the configuration names as master: the name is too long, it has 23 bytes`,
    );
    host.sh(`ip link property add dev m0 altname ${name}`);
    await succeed(macvlan, 'ADD', given(host, container, { master: name }));
  });

  test('is looked for in the container with linkInContainer (macvlan 12, 13)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add inner type veth peer name other; ip link set inner up; ip link set other up');
    await succeed(macvlan, 'ADD', given(host, container, { master: 'inner', linkInContainer: true }));
    await succeed(macvlan, 'DEL', given(host, container, { master: 'inner', linkInContainer: true }));
    expect(await message(call(macvlan, 'ADD', given(host, container, { linkInContainer: true })))).toContain(
      'Link not found',
    );
    container.sh('ip address add 192.0.2.1/24 dev inner; ip route add default via 192.0.2.9 dev inner');
    await succeed(macvlan, 'ADD', given(host, container, { master: '', linkInContainer: true }));
    expect(own(container).link).toBe('inner');
  });

  test('that is a bridge port is refused with the reason (macvlan 27)', async ({ host, container }) => {
    host.sh('ip link add br0 type bridge; ip link set m0 master br0');
    expect(await message(call(macvlan, 'ADD', given(host, container, {})))).toMatch(
      /^failed to create macvlan: device or resource busy.*"m0"/,
    );
  });

  test('may be named by a long alternative name (macvlan 28)', async ({ host, container }) => {
    host.sh('ip link property add dev m0 altname an-alternative-name-of-the-wire');
    await succeed(macvlan, 'ADD', given(host, container, { master: 'an-alternative-name-of-the-wire' }));
  });

  test('that is down does not hold an IPv4 ADD up (macvlan 26)', async ({ host, container }) => {
    host.sh('ip link set m0 down');
    const started = performance.now();
    await succeed(macvlan, 'ADD', given(host, container, { ipam: ranges(host, '10.1.2.0/24') }));
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('that is down leaves an IPv6 address tentative, and ADD succeeds all the same (macvlan 26)', async ({
    host,
    container,
  }) => {
    host.sh('ip link set m0 down');
    await succeed(macvlan, 'ADD', given(host, container, { ipam: ranges(host, '2001:db8::/64') }));
    expect(own(container).flags).not.toContain('LOWER_UP');
    expect(container.sh('ip -6 address show dev eth0 scope global')).toContain('tentative');
  });
});

describe('what goes wrong', () => {
  test('a configuration that cannot be read names the field, and nothing is made (macvlan 3, 29)', async ({
    host,
    container,
  }) => {
    const before = { host: snapshot(), container: snapshot(container.netns) };
    expect(await message(call(macvlan, 'ADD', given(host, container, { mode: 'foo' })))).toContain(
      'unknown macvlan mode: "foo"',
    );
    expect(await message(call(macvlan, 'ADD', given(host, container, { bcqueuelen: -1 })))).toContain(
      'bcqueuelen',
    );
    expect(await message(call(macvlan, 'ADD', given(host, container, { mtu: '1500' })))).toContain('mtu');
    expect({ host: snapshot(), container: snapshot(container.netns) }).toEqual(before);
  });

  test('a namespace that is not there fails ADD and not DEL (macvlan 14)', async ({ host, container }) => {
    const gone = { ...given(host, container, {}), container: undefined, netns: '/nope' };
    expect(await message(call(macvlan, 'ADD', gone))).toContain(
      'failed to Statfs "/nope": no such file or directory',
    );
    await succeed(macvlan, 'DEL', gone);
  });

  test('a taken interface name leaves no other link behind (macvlan 15)', async ({ host, container }) => {
    container.sh('ip link add eth0 type veth peer name x');
    const before = { host: snapshot(), container: snapshot(container.netns) };
    expect(await message(call(macvlan, 'ADD', given(host, container, {})))).toMatch(
      /^failed to rename macvlan to "eth0": file exists/,
    );
    expect({ host: snapshot(), container: snapshot(container.netns) }).toEqual(before);
  });

  test('an IPAM plugin that is missing leaves no link; DEL says so and deletes it (macvlan 16)', async ({
    host,
    container,
  }) => {
    const missing = given(host, container, { ipam: { type: 'nope' } });
    expect(await message(call(macvlan, 'ADD', missing))).toBe(
      `failed to find plugin "nope" in path [${host.bin}]`,
    );
    expect(container.succeeds('ip link show eth0')).toBe(false);
    await succeed(macvlan, 'ADD', given(host, container, {}));
    expect(await message(call(macvlan, 'DEL', missing))).toBe(
      `failed to find plugin "nope" in path [${host.bin}]`,
    );
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('a route that cannot be set releases the address (macvlan 17)', async ({ host, container }) => {
    const routes = [{ dst: '10.8.0.0/16', gw: '10.99.0.1' }];
    const log = fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.1.2.2/24' }],
      routes,
    });
    const answer = await call(macvlan, 'ADD', given(host, container, { ipam: { type: 'fake' } }));
    expect(answer.error?.msg).toMatch(
      /^failed to add route '10\.8\.0\.0\/16 via 10\.99\.0\.1 dev eth0.*network is unreachable.*; routes\[0\]\.gw is 10\.99\.0\.1: it must lie in the subnet of one of the addresses/,
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    const ips = [{ address: '10.1.2.2/24', gateway: '10.99.0.1' }];
    fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips, routes: [{ dst: '0.0.0.0/0' }] });
    const outside = await call(macvlan, 'ADD', given(host, container, { ipam: { type: 'fake' } }));
    expect(outside.error?.msg).toContain('the gateway of ips, which routes[0] goes by, is 10.99.0.1');
    // One that an earlier route leads to is none of that.
    const onLink = [
      { dst: '10.99.0.1/32', scope: 253 },
      { dst: '0.0.0.0/0', gw: '10.99.0.1' },
    ];
    fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.1.2.2/24' }], routes: onLink });
    await succeed(macvlan, 'ADD', given(host, container, { ipam: { type: 'fake' } }));
  });

  test('an IPAM without addresses is refused (macvlan 18)', async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0' });
    expect(await message(call(macvlan, 'ADD', given(host, container, { ipam: { type: 'fake' } })))).toBe(
      'IPAM plugin returned missing IP config',
    );
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('an L2 result cannot be told in 0.2.0, and the link is taken back (macvlan 21)', async ({
    host,
    container,
  }) => {
    expect(await message(call(macvlan, 'ADD', given(host, container, { cniVersion: '0.2.0' })))).toBe(
      'cannot convert: no valid IP addresses',
    );
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('its own namespace is refused before anything is done (macvlan 30)', async ({ host, container }) => {
    const same = { ...given(host, container, {}), container: undefined, netns: '/proc/thread-self/ns/net' };
    expect((await call(macvlan, 'ADD', same)).error?.code).toBe(8);
    expect(host.succeeds('ip link show eth0')).toBe(false);
  });
});

describe('addresses, DNS, CHECK, DEL, STATUS', () => {
  test('dual stack: both addresses work on the wire at return (macvlan 19)', async ({ host, container }) => {
    host.sh('ip address add 10.1.2.1/24 dev neighbour; ip -6 address add 2001:db8::1/64 dev neighbour nodad');
    await succeed(
      macvlan,
      'ADD',
      given(host, container, { ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64') }),
    );
    expect(
      json(container.sh('ip -j -6 address show dev eth0 scope global'))[0].addr_info[0],
    ).not.toHaveProperty('tentative');
    expect(sysctl(container, 'ipv6/conf/eth0/keep_addr_on_down')).toBe('1');
    expect(container.succeeds('ping -c1 -W2 10.1.2.1')).toBe(true);
    expect(container.succeeds('ping -6 -c1 -W2 2001:db8::1')).toBe(true);
  });

  test.skipIf(!hasTcpdump)(
    'neighbours hear at once who has the addresses (macvlan 19)',
    async ({ host, container }) => {
      const heard = join(host.dir, 'heard.pcap');
      // The pipe of its error output is open as long as it runs, and says when it listens.
      const listener = spawn('tcpdump', ['-i', 'neighbour', '-U', '-w', heard, 'arp or icmp6'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      try {
        await new Promise((listening) => listener.stderr.once('data', listening));
        const config = given(host, container, { ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64') });
        await succeed(macvlan, 'ADD', config);
        const told = () => host.sh(`tcpdump -n -r ${heard} 2>/dev/null || true`);
        await expect.poll(told, { timeout: 5000 }).toMatch(/who-has 10\.1\.2\.2 .*tell 10\.1\.2\.2/);
        await expect
          .poll(told, { timeout: 5000 })
          .toMatch(/> ff02::1: .*neighbor advertisement, tgt is 2001:db8::2/);
      } finally {
        listener.kill();
      }
    },
  );

  test('an address that moves to another container is reached at once by neighbours that know the former one', async ({
    host,
    container,
  }) => {
    host.sh('ip address add 10.1.2.1/24 dev neighbour; ip -6 address add 2001:db8::1/64 dev neighbour nodad');
    const former = host.container('former');
    const config = {
      ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64'),
      args: { cni: { ips: ['10.1.2.7', '2001:db8::7'] } },
    };
    await succeed(macvlan, 'ADD', given(host, former, config));
    const mac = former.sh('cat /sys/class/net/eth0/address').trim();
    await succeed(macvlan, 'DEL', given(host, former, config));
    for (const ip of ['10.1.2.7', '2001:db8::7']) {
      host.sh(`ip neigh replace ${ip} lladdr ${mac} dev neighbour nud reachable`);
    }
    await succeed(macvlan, 'ADD', given(host, container, config));
    for (const ip of ['10.1.2.7', '2001:db8::7']) host.sh(`ping -c1 -W0.2 ${ip}`);
  });

  test('a router advertisement counts where IPAM gives no IPv6 address, and only there', async ({
    host,
    container,
  }) => {
    host.sh('ip -6 address add fe80::99/64 dev neighbour nodad');
    const dual = given(host, container, { ipam: ranges(host, '10.1.2.0/24', '2001:db8::/64') });
    await succeed(macvlan, 'ADD', dual);
    // The network's router may be meant: who wants no IPv6 switches it off.
    const other = host.container('other');
    await succeed(
      macvlan,
      'ADD',
      given(host, other, { ipam: ranges(host, '10.1.3.0/24') }, { containerId: 'c2' }),
    );
    await advertiseRouter(host, 'neighbour', other);
    expect(takesAdvertisements(container), container.sh('ip -6 addr; ip -6 route')).toBe(false);
  });

  test("DNS of the configuration is in the result, else IPAM's (macvlan 20)", async ({ host, container }) => {
    writeFileSync(`${host.dir}/resolv.conf`, 'nameserver 10.1.2.53\n');
    const ipam = { ...ranges(host, '10.1.2.0/24'), resolvConf: `${host.dir}/resolv.conf` };
    const dns = { nameservers: ['192.0.2.53'] };
    const dnsOf = async (config: object) => {
      const { result } = await succeed(macvlan, 'ADD', given(host, container, config));
      await succeed(macvlan, 'DEL', given(host, container, config));
      return result?.dns;
    };
    expect(await dnsOf({ ipam })).toEqual({ nameservers: ['10.1.2.53'] });
    expect(await dnsOf({ ipam, dns })).toEqual(dns);
    expect(await dnsOf({ dns })).toEqual(dns);
    expect(await dnsOf({})).toBeUndefined();
  });

  test('CHECK of a link without IPAM passes; another configured mode, sandbox or no prevResult does not (macvlan 22)', async ({
    host,
    container,
  }) => {
    const config = given(host, container, {});
    const { result } = await succeed(macvlan, 'ADD', config);
    await succeed(macvlan, 'CHECK', { ...config, prevResult: result });
    expect(await message(call(macvlan, 'CHECK', config))).toBe('required prevResult missing');
    const other = given(host, container, { mode: 'vepa' }, { prevResult: result });
    expect(await message(call(macvlan, 'CHECK', other))).toMatch(/mode/i);
    const moved = {
      ...result,
      interfaces: result?.interfaces?.map((one) => ({ ...one, sandbox: '/elsewhere' })),
    };
    expect(await message(call(macvlan, 'CHECK', { ...config, prevResult: moved }))).toMatch(
      /sandbox in prevResult/i,
    );
    container.sh('ip link del eth0; ip link add eth0 type veth peer name x');
    expect(await message(call(macvlan, 'CHECK', { ...config, prevResult: result }))).toBe(
      'error: Container interface eth0 not of type macvlan',
    );
    host.sh('ip link del m0');
    expect(await message(call(macvlan, 'CHECK', { ...config, prevResult: result }))).toMatch(
      /^Link not found/,
    );
  });

  test('DEL succeeds again, without ADD, without a path, without the master (macvlan 23)', async ({
    host,
    container,
  }) => {
    const config = given(host, container, { ipam: ranges(host, '10.1.2.0/24') });
    await succeed(macvlan, 'DEL', config);
    await succeed(macvlan, 'ADD', config);
    host.sh('ip link del m0');
    await succeed(macvlan, 'DEL', config);
    await succeed(macvlan, 'DEL', config);
    await succeed(macvlan, 'DEL', { ...config, container: undefined, netns: '' });
  });

  test('DEL leaves a link of another kind that has the interface name (macvlan 25)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add eth0 type veth peer name x');
    await succeed(macvlan, 'DEL', given(host, container, {}));
    expect(container.succeeds('ip link show eth0')).toBe(true);
  });

  test('STATUS tells a missing master and asks IPAM (macvlan 24)', async ({ host, container }) => {
    expect((await call(macvlan, 'STATUS', given(host, container, { master: 'nope' }))).error?.code).toBe(50);
    const unknown = await call(macvlan, 'STATUS', given(host, container, { ipam: { type: 'nope' } }));
    expect(unknown.error?.msg).toContain(`failed to find plugin "nope" in path [${host.bin}]`);
  });
});
