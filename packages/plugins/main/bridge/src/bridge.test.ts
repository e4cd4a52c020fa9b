import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, fakeIpam, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { bridge } from './bridge.ts';

const plugins = [hostLocal];
const v4 = [{ subnet: '10.1.2.0/24' }];
const v6 = [{ subnet: '2001:db8::/64' }];

function ipam(host: Host, ...ranges: object[][]): object {
  return { type: 'host-local', dataDir: `${host.dir}/networks`, ranges };
}

const dual = (more: object) => (host: Host) => ({ ...more, ipam: ipam(host, v4, v6) });

ownLinks(
  bridge,
  {
    title: 'a dual-stack gateway',
    plugins,
    config: dual({ isDefaultGateway: true, promiscMode: true }),
  },
  { hostLinks: true },
);

conformance(bridge, [
  {
    title: 'a segment without IPAM',
    withoutAddress: true,
    config: () => ({ hairpinMode: true, portIsolation: true, macspoofchk: true }),
    tamperings: {
      'the container link is gone': {
        by: (_, c) => c.sh('ip link del eth0'),
        says: /^Interface name eth0 not found/,
      },
      'the port left the bridge': {
        by: (h) =>
          h.sh(
            'ip link set "$(ls /sys/class/net | head -0; ip -br link show master cni0 | sed "s/@.*//")" nomaster',
          ),
        says: /^CNI veth created for bridge cni0 was not found/,
      },
      'hairpin mode was switched off': {
        by: (h) => h.sh('bridge link set dev "$(ip -br link show master cni0 | sed "s/@.*//")" hairpin off'),
        says: /hairpin mode off/,
      },
      'the spoof check is gone': { by: (h) => h.sh('nft delete table bridge nat'), says: /./ },
      'the bridge is gone': { by: (h) => h.sh('ip link del cni0'), says: /^Interface name cni0 not found/ },
      'the bridge is down': {
        by: (h) => h.sh('ip link set cni0 down'),
        says: /^Bridge interface cni0 is down/,
      },
    },
  },
  {
    title: 'a dual-stack default gateway with masquerading by iptables',
    plugins,
    config: dual({ isDefaultGateway: true, ipMasq: true, ipMasqBackend: 'iptables' }),
    tamperings: {
      'the bridge is gone': { by: (h) => h.sh('ip link del cni0'), says: /^Interface name cni0 not found/ },
      'an address is gone': {
        by: (_, c) => c.sh('ip address del 10.1.2.2/24 dev eth0'),
        says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
      },
      'the default route is gone': {
        by: (_, c) => c.sh('ip route del default'),
        says: /^Expected Route 0\.0\.0\.0\/0 via 10\.1\.2\.1 not found/,
      },
      'the default route leads elsewhere': {
        by: (_, c) => c.sh('ip route replace default via 10.1.2.77'),
        says: /^Expected Route 0\.0\.0\.0\/0 via 10\.1\.2\.1 not found/,
      },
      'the subnet route is gone': {
        by: (_, c) => c.sh('ip route del default; ip route del 10.1.2.0/24'),
        says: /^Failed to find Gateway 10\.1\.2\.1 for interface eth0/,
      },
      'the container has another MAC': {
        by: (_, c) => c.sh('ip link set eth0 address 02:00:00:00:00:77'),
        says: /^Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:77/,
      },
      'the bridge has another MAC': {
        by: (h) => h.sh('ip link set cni0 address 02:00:00:00:00:78'),
        says: /^Bridge interface cni0 Mac doesn't match/,
      },
      'the masquerade rules are gone': { by: (h) => h.sh('iptables -t nat -F'), says: /./ },
      'the bridge lost the gateway address': {
        by: (h) => h.sh('ip address del 10.1.2.1/24 dev cni0'),
        says: /^Gateway address 10\.1\.2\.1\/24 is missing on interface cni0$/,
      },
      'the gateway address has another prefix length': {
        by: (h) => h.sh('ip address del 2001:db8::1/64 dev cni0; ip address add 2001:db8::1/48 dev cni0'),
        says: /^Gateway address 2001:db8::1\/64 is missing on interface cni0$/,
      },
      'the host does not forward': {
        by: (h) => h.sh('echo 0 >/proc/sys/net/ipv4/ip_forward'),
        says: /^IPv4 forwarding is off: net\/ipv4\/ip_forward is 0$/,
      },
    },
  },
  {
    title: 'a gateway with masquerading by nftables',
    plugins,
    config: dual({ isGateway: true, ipMasq: true, ipMasqBackend: 'nftables', mtu: 1400 }),
    tamperings: {
      'the port has another MTU': {
        by: (h) => h.sh('ip link set "$(ip -br link show master cni0 | sed "s/@.*//")" mtu 1300'),
        says: /^Interface veth[0-9a-f]{8} has MTU 1300, configured is 1400/,
      },
      'the masquerade rules are gone': {
        by: (h) => h.sh('nft delete table inet cni_plugins_masquerade'),
        says: /./,
      },
    },
  },
  {
    title: 'addresses, and a host that is no gateway',
    plugins,
    config: dual({ bridge: 'br-plain' }),
  },
]);

/** A call in network net1 of container c1, as the documented cases are. */
function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  return {
    config: { cniVersion: '1.1.0', name: 'net1', type: 'bridge', ...config },
    container,
    path: host.bin,
    plugins,
    ...more,
  };
}

/** The same with host-local in reach. */
function withHostLocal(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  if (!existsSync(`${host.bin}/host-local`)) pluginFolder(host, 'host-local');
  return given(host, container, config, more);
}

function json(text: string) {
  return JSON.parse(text.trim() || '[]');
}

const port = (host: Host) => json(host.sh('ip -j -d link show master cni0'))[0];
const sysctl = (place: { sh(command: string): string }, key: string) =>
  place.sh(`cat /proc/sys/net/${key}`).trim();
const leases = (host: Host) =>
  host
    .sh(`ls ${host.dir}/networks/net1 2>/dev/null || true`)
    .split('\n')
    .filter((n) => /^[0-9]+[.:]/.test(n));

describe('without IPAM', () => {
  test('a port and a link that is up, no address, and the kernel defaults for the rest (bridge 1)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(bridge, 'ADD', given(host, container, {}));
    expect(result?.interfaces).toHaveLength(3);
    expect(result).not.toHaveProperty('ips');
    const [bridgeEntry, hostEntry, own] = result?.interfaces ?? [];
    expect(bridgeEntry).toEqual({ name: 'cni0', mac: hostEntry?.mac });
    expect(own).toMatchObject({ name: 'eth0', sandbox: container.path });
    expect(port(host)).toMatchObject({
      ifname: hostEntry?.name,
      linkinfo: { info_slave_data: { state: 'forwarding' } },
    });
    expect(hostEntry?.name).toMatch(/^veth[0-9a-f]{8}$/);
    expect(port(host)).not.toHaveProperty('txqlen');
    expect(json(container.sh('ip -j address show dev eth0 scope global'))[0]?.addr_info ?? []).toEqual([]);
    expect(container.sh('ip -br link show eth0')).toMatch(/UP/);
    expect([
      sysctl(container, 'ipv6/conf/eth0/accept_dad'),
      sysctl(container, 'ipv4/conf/eth0/arp_notify'),
    ]).toEqual(['1', '0']);
    expect(sysctl(host, 'ipv6/conf/cni0/accept_ra')).toBe('0');
  });

  test('disableContainerInterface leaves the link down and does not wait; with IPAM it is refused first (bridge 33)', async ({
    host,
    container,
  }) => {
    const started = performance.now();
    await succeed(bridge, 'ADD', given(host, container, { disableContainerInterface: true }));
    // It would wait for two seconds and a half.
    expect(performance.now() - started).toBeLessThan(2000);
    expect(container.sh('ip -br link show eth0')).toMatch(/DOWN/);
    expect(port(host)?.operstate).toMatch(/DOWN$/);
    const both = given(host, host.container('c2'), {
      bridge: 'br9',
      disableContainerInterface: true,
      ipam: ipam(host, v4),
    });
    expect((await call(bridge, 'ADD', both)).error?.msg).toBe(
      'cannot use IPAM when DisableContainerInterface flag is set',
    );
    expect(host.succeeds('ip link show br9')).toBe(false);
  });

  test('CHECK passes, and DNS of the configuration is in the result', async ({ host, container }) => {
    const dns = { nameservers: ['10.1.2.9'] };
    const config = given(host, container, { dns });
    const { result } = await succeed(bridge, 'ADD', config);
    expect(result?.dns).toEqual(dns);
    await succeed(bridge, 'CHECK', { ...config, prevResult: result });
  });
});

describe('addresses and gateways', () => {
  test('without isGateway the bridge gets no address and nothing is forwarded (bridge 2)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(bridge, 'ADD', withHostLocal(host, container, { ipam: ipam(host, v4) }));
    expect(result?.ips).toEqual([{ address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 2 }]);
    expect(json(container.sh('ip -j -4 address show dev eth0'))[0].addr_info[0]).toMatchObject({
      local: '10.1.2.2',
      prefixlen: 24,
      broadcast: '10.1.2.255',
    });
    expect(json(host.sh('ip -j -4 address show dev cni0'))[0]?.addr_info ?? []).toEqual([]);
    expect(container.sh('ip route show default')).toBe('');
    expect(sysctl(host, 'ipv4/ip_forward')).toBe('0');
    expect(sysctl(container, 'ipv4/conf/eth0/arp_notify')).toBe('1');
  });

  test('isGateway gives the bridge the gateway address, a MAC of its own, and forwarding (bridge 3)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { isGateway: true, ipam: ipam(host, v4) }),
    );
    expect(json(host.sh('ip -j -4 address show dev cni0'))[0].addr_info).toMatchObject([
      { local: '10.1.2.1', prefixlen: 24 },
    ]);
    expect(sysctl(host, 'ipv4/ip_forward')).toBe('1');
    expect(sysctl(host, 'ipv6/conf/all/forwarding')).toBe('0');
    expect(container.sh('ip route show default')).toBe('');
    const mac = json(host.sh('ip -j link show cni0'))[0].address;
    expect(mac).toBe(result?.interfaces?.[0]?.mac);
    expect(mac).not.toBe(result?.interfaces?.[1]?.mac);
    await succeed(
      bridge,
      'ADD',
      withHostLocal(
        host,
        host.container('c2'),
        { isGateway: true, ipam: ipam(host, v4) },
        { containerId: 'c2' },
      ),
    );
    expect(json(host.sh('ip -j link show cni0'))[0].address).toBe(mac);
  });

  const bridges: [string, (host: Host, container: Container) => unknown][] = [
    ['that it makes', () => undefined],
    ['that somebody made', (host) => host.sh('ip link add cni0 type bridge')],
    ['that somebody made and set up', (host) => host.sh('ip link add cni0 type bridge; ip link set cni0 up')],
    [
      'whose last port left',
      async (host, container) => {
        await succeed(bridge, 'ADD', given(host, container, {}));
        await succeed(bridge, 'DEL', given(host, container, {}));
      },
    ],
    [
      'with a port and an address of somebody else',
      (host) =>
        host.sh(`ip link add cni0 type bridge
          ip link add other type veth peer name there
          ip link set other address fe:00:00:00:00:01 master cni0
          ip address add 2001:db8:9::1/64 dev cni0
          ip link set cni0 up; ip link set other up; ip link set there up`),
    ],
  ];
  // The lowest MAC of the ports' would be that of a bridge, until its own is pinned.
  test.for(bridges)(
    'the MAC of a bridge %s stays while it gets its first ports',
    async ([, prepare], { host, container }) => {
      await prepare(host, container);
      const seen = `${host.dir}/seen`;
      const reply = { cniVersion: '1.1.0', ips: [{ address: '10.1.2.2/24' }] };
      writeProgram(
        `${host.bin}/slow`,
        `#!/bin/sh
        ip link add low type veth peer name lower
        ip link set low address 02:00:00:00:00:01 master cni0
        ip -j link show cni0 >${seen}
        echo '${JSON.stringify(reply)}'`,
      );
      const config = { isGateway: true, ipam: { type: 'slow' } };
      const { result } = await succeed(bridge, 'ADD', given(host, container, config));
      const [{ address }] = json(readFileSync(seen, 'utf8'));
      expect(result?.interfaces?.[0]).toEqual({ name: 'cni0', mac: address });
      expect(json(host.sh('ip -j link show cni0'))[0]).toMatchObject({ address, operstate: 'UP' });
    },
  );

  test('isDefaultGateway adds the default route to container and result (bridge 4)', async ({
    host,
    container,
  }) => {
    const { result } = await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { isDefaultGateway: true, ipam: ipam(host, v4) }),
    );
    expect(result?.routes).toEqual([{ dst: '0.0.0.0/0', gw: '10.1.2.1' }]);
    expect(json(container.sh('ip -j route show default'))).toMatchObject([
      { gateway: '10.1.2.1', dev: 'eth0' },
    ]);
    expect(container.succeeds('ping -c1 -W2 10.1.2.1')).toBe(true);
  });

  test('a default route of IPAM is kept with its gateway, and completed without one (bridge 5, 6, 7)', async ({
    host,
    container,
  }) => {
    const reply = (routes: object[]) => ({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.7/24' }], routes });
    const config = { isDefaultGateway: true, ipam: { type: 'own' } };
    fakeIpam(host.bin, 'own', reply([{ dst: '0.0.0.0/0', gw: '10.1.2.254' }]));
    await succeed(bridge, 'ADD', given(host, container, config));
    expect(json(container.sh('ip -j route show default'))).toMatchObject([{ gateway: '10.1.2.254' }]);
    expect(json(host.sh('ip -j -4 address show dev cni0'))[0].addr_info).toMatchObject([
      { local: '10.1.2.1', prefixlen: 24 },
    ]);
    await succeed(bridge, 'DEL', given(host, container, config));

    fakeIpam(host.bin, 'own', reply([{ dst: '0.0.0.0/0' }]));
    await succeed(bridge, 'ADD', given(host, container, config));
    expect(json(container.sh('ip -j route show default'))).toMatchObject([{ gateway: '10.1.2.1' }]);
    await succeed(bridge, 'DEL', given(host, container, config));

    const plain = await succeed(
      bridge,
      'ADD',
      given(host, container, { isGateway: true, ipam: { type: 'own' } }),
    );
    expect(json(container.sh('ip -j route show default'))).toMatchObject([{ gateway: '10.1.2.1' }]);
    expect(plain.result?.routes).toEqual([{ dst: '0.0.0.0/0' }]);
  });

  test('dual stack: both gateways, both default routes, forwarding, and no wait for address detection (bridge 8)', async ({
    host,
    container,
  }) => {
    await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { isDefaultGateway: true, ipam: ipam(host, v4, v6) }),
    );
    const addresses = json(host.sh('ip -j address show dev cni0 scope global'))[0].addr_info;
    expect(addresses.flatMap(({ local }: { local?: string }) => local ?? [])).toEqual([
      '10.1.2.1',
      '2001:db8::1',
    ]);
    expect(json(container.sh('ip -j route show default'))).toMatchObject([{ gateway: '10.1.2.1' }]);
    expect(json(container.sh('ip -j -6 route show default'))).toMatchObject([{ gateway: '2001:db8::1' }]);
    expect([sysctl(host, 'ipv4/ip_forward'), sysctl(host, 'ipv6/conf/all/forwarding')]).toEqual(['1', '1']);
    expect(
      ['keep_addr_on_down', 'accept_dad'].map((key) => sysctl(container, `ipv6/conf/eth0/${key}`)),
    ).toEqual(['1', '0']);
    expect(
      json(container.sh('ip -j -6 address show dev eth0 scope global'))[0].addr_info[0],
    ).not.toHaveProperty('tentative');
    expect(container.succeeds('ping -6 -c1 -W2 2001:db8::1')).toBe(true);
  });

  test('enabledad detects duplicates before the address is used (bridge 9)', async ({ host, container }) => {
    await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { isGateway: true, enabledad: true, ipam: ipam(host, v6) }),
    );
    expect(['enhanced_dad', 'accept_dad'].map((key) => sysctl(container, `ipv6/conf/eth0/${key}`))).toEqual([
      '1',
      '1',
    ]);
    expect(
      json(container.sh('ip -j -6 address show dev eth0 scope global'))[0].addr_info[0],
    ).not.toHaveProperty('tentative');
  });

  test('enabledad and an address someone else has: the error names it, the lease is released (bridge 10)', async ({
    host,
    container,
  }) => {
    const other = host.container('other');
    await succeed(bridge, 'ADD', given(host, other, {}, { containerId: 'other' }));
    other.sh('ip -6 address add 2001:db8::2/64 dev eth0 nodad');
    const config = { isGateway: true, enabledad: true, ipam: ipam(host, v6) };
    const answer = await call(bridge, 'ADD', withHostLocal(host, container, config));
    expect(answer.error?.msg).toBe(
      'failed to settle addresses for "eth0": link eth0 has address 2001:db8::2 in DADFAILED state',
    );
    expect(leases(host)).toEqual([]);
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('what the host forwards by IPv6 gets in at once, also on a new bridge', async ({
    host,
    container,
  }) => {
    const outside = host.container('outside');
    host.sh(`ip link add up0 type veth peer name eth0 netns ${outside.path}; ip link set up0 up`);
    host.sh('ip address add 2001:db8:1::1/64 dev up0 nodad');
    outside.sh('ip address add 2001:db8:1::2/64 dev eth0 nodad; ip link set eth0 up');
    outside.sh('ip route add default via 2001:db8:1::1');
    await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { isDefaultGateway: true, ipam: ipam(host, v6) }),
    );
    outside.sh('ping -c 1 -W 5 2001:db8::2');
  });

  test('a container with IPv6 switched off gets it for lo and its link only (bridge 11)', async ({
    host,
    container,
  }) => {
    container.sh(
      'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
    );
    await succeed(bridge, 'ADD', withHostLocal(host, container, { isGateway: true, ipam: ipam(host, v6) }));
    expect(['lo', 'eth0', 'all'].map((name) => sysctl(container, `ipv6/conf/${name}/disable_ipv6`))).toEqual([
      '0',
      '0',
      '1',
    ]);
    expect(container.sh('ip -6 -br address show dev eth0')).toContain('2001:db8::2/64');
  });

  test('another address on the bridge is an error that keeps it and takes no lease (bridge 12, 14)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add cni0 type bridge && ip address add 10.9.9.1/24 dev cni0');
    const config = { isGateway: true, ipam: ipam(host, v4) };
    const answer = await call(bridge, 'ADD', withHostLocal(host, container, config));
    expect(answer.error?.msg).toMatch(
      /^failed to set bridge addr: "cni0" already has an IP address different from 10\.1\.2\.1\/24/,
    );
    expect(host.sh('ip -4 -br address show dev cni0')).toContain('10.9.9.1/24');
    expect(leases(host)).toEqual([]);
    host.sh('ip address flush dev cni0; ip address add 10.1.2.1/16 dev cni0');
    const prefix = await call(bridge, 'ADD', withHostLocal(host, container, config));
    expect(prefix.error?.msg).toMatch(
      /^failed to set bridge addr: "cni0" already has an IP address different from 10\.1\.2\.1\/24/,
    );
  });

  test('forceAddress replaces the other address (bridge 13), and a failure later puts it back', async ({
    host,
    container,
  }) => {
    host.sh('ip link add cni0 type bridge && ip address add 10.9.9.1/24 dev cni0');
    const config = { isGateway: true, forceAddress: true, ipam: ipam(host, v4) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    expect(host.sh('ip -4 -br address show dev cni0')).toMatch(/UP\s+10\.1\.2\.1\/24\s*$/);
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));

    host.sh('ip address flush dev cni0; ip address add 10.9.9.1/24 dev cni0');
    const interrupted = { interrupted: () => 'SIGTERM' };
    const stopped = await call(bridge, 'ADD', withHostLocal(host, container, config, interrupted));
    expect(stopped.error?.code).toBe(11);
    expect(host.sh('ip -4 -br address show dev cni0')).toMatch(/\s10\.9\.9\.1\/24\s*$/);
  });

  test('an IPv6 address beside the gateway is a conflict only where networks overlap (bridge 15)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add cni0 type bridge && ip -6 address add fd00:1234::1/64 dev cni0 nodad');
    const config = { isGateway: true, ipam: ipam(host, v6) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    expect(host.sh('ip -6 -br address show dev cni0')).toMatch(
      /fd00:1234::1\/64.*2001:db8::1\/64|2001:db8::1\/64.*fd00:1234::1\/64/,
    );
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    host.sh('ip -6 address flush dev cni0 scope global; ip -6 address add 2001:db8::5/48 dev cni0 nodad');
    expect((await call(bridge, 'ADD', withHostLocal(host, container, config))).error?.msg).toMatch(
      /already has an IP address different/,
    );
    await succeed(bridge, 'ADD', withHostLocal(host, container, { ...config, forceAddress: true }));
    expect(host.sh('ip -6 -br address show dev cni0')).not.toContain('/48');
  });

  test('two IPv4 subnets conflict on the bridge, two addresses of one share the gateway (bridge 16)', async ({
    host,
    container,
  }) => {
    fakeIpam(host.bin, 'two', {
      cniVersion: '1.0.0',
      ips: [{ address: '10.1.2.7/24' }, { address: '10.1.3.7/24' }],
    });
    const answer = await call(
      bridge,
      'ADD',
      given(host, container, { isGateway: true, ipam: { type: 'two' } }),
    );
    expect(answer.error?.msg).toContain('already has an IP address different from 10.1.3.1/24');
    fakeIpam(host.bin, 'same', {
      cniVersion: '1.0.0',
      ips: [{ address: '10.1.2.7/24' }, { address: '10.1.2.8/24' }],
    });
    await succeed(bridge, 'ADD', given(host, container, { isGateway: true, ipam: { type: 'same' } }));
    expect(json(host.sh('ip -j -4 address show dev cni0'))[0].addr_info).toHaveLength(1);
  });

  test('routes of IPAM keep table, metric and scope; MTU and MSS are told to the runtime (bridge 37)', async ({
    host,
    container,
  }) => {
    const routes = [
      { dst: '10.5.0.0/16', table: 5000 },
      { dst: '10.6.0.0/16', table: 100, priority: 50 },
      { dst: '10.7.0.0/16', priority: 50, mtu: 1300, advmss: 1260 },
      { dst: '10.8.0.0/16', gw: '10.1.2.1' },
      { dst: '10.8.0.0/16', gw: '10.1.2.3' },
    ];
    fakeIpam(host.bin, 'own', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.1.2.7/24', gateway: '10.1.2.1' }],
      routes,
    });
    const { result } = await succeed(bridge, 'ADD', given(host, container, { ipam: { type: 'own' } }));
    expect(result?.routes).toEqual(routes);
    expect(json(container.sh('ip -j route show table 5000'))).toMatchObject([
      { dst: '10.5.0.0/16', gateway: '10.1.2.1' },
    ]);
    expect(json(container.sh('ip -j route show table 100'))).toMatchObject([
      { dst: '10.6.0.0/16', metric: 50 },
    ]);
    expect(json(container.sh('ip -j route show 10.7.0.0/16'))).toMatchObject([{ metric: 50 }]);
    expect(
      json(container.sh('ip -j route show 10.8.0.0/16')).map((r: { gateway: string }) => r.gateway),
    ).toEqual(['10.1.2.3', '10.1.2.1']);
  });

  test('a bridge whose MAC is all zero takes the first gateway ADD (bridge 45)', async ({
    host,
    container,
  }) => {
    await succeed(bridge, 'ADD', given(host, container, {}));
    await succeed(bridge, 'DEL', given(host, container, {}));
    expect(json(host.sh('ip -j link show cni0'))[0].address).toBe('00:00:00:00:00:00');
    await succeed(bridge, 'ADD', withHostLocal(host, container, { isGateway: true, ipam: ipam(host, v4) }));
    expect(container.succeeds('ping -c1 -W2 10.1.2.1')).toBe(true);
  });
});

/** What there is of an attachment's rules, in iptables and nftables. */
const rulesOf = (host: Host) =>
  host.sh('nft list ruleset').match(/ CNI-\S+|cni-br-iface-\S+|masquerade comment.*/g) ?? [];

describe('masquerading', () => {
  test('by iptables: the three rules of the attachment, gone after DEL (bridge 17)', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, ipMasq: true, ipMasqBackend: 'iptables', ipam: ipam(host, v4) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    const chain = 'CNI-c2d892b58e87e28a12fe6479';
    const comment = '-m comment --comment "name: \\"net1\\" id: \\"c1\\""';
    const rules = host
      .sh('iptables-save -t nat')
      .split('\n')
      .filter((line) => line.startsWith('-A'))
      .map((line) => line.trim());
    expect(rules).toEqual([
      `-A POSTROUTING -s 10.1.2.2/32 ${comment} -j ${chain}`,
      `-A ${chain} -d 10.1.2.0/24 ${comment} -j ACCEPT`,
      `-A ${chain} ! -d 224.0.0.0/4 ${comment} -j MASQUERADE`,
    ]);
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    expect(host.sh('iptables-save -t nat')).not.toContain('CNI-');
  });

  test('by nftables: one rule per address with the attachment in its comment; table and chains stay (bridge 18)', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, ipMasq: true, ipMasqBackend: 'nftables', ipam: ipam(host, v4, v6) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    const comment = '8e48f37d5de60467-f4d01f2ef4b92245, net: net1, if: eth0, id: c1';
    const rules = host
      .sh('nft list chain inet cni_plugins_masquerade masq_checks')
      .split('\n')
      .map((line) => line.trim());
    expect(rules).toContain(`ip saddr 10.1.2.2 ip daddr != 10.1.2.0/24 masquerade comment "${comment}"`);
    expect(rules).toContain(
      `ip6 saddr 2001:db8::2 ip6 daddr != 2001:db8::/64 masquerade comment "${comment}"`,
    );
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    const left = host.sh('nft list table inet cni_plugins_masquerade');
    expect(left).not.toContain('masquerade comment "8e48');
    expect(left).toContain('chain postrouting');
  });

  test.for([
    ['switched off', 'iptables', {}],
    ['switched off', 'nftables', {}],
    ['of a backend that is none', 'iptables', { ipMasq: true, ipMasqBackend: 'foo', macspoofchk: true }],
    ['of the other backend', 'nftables', { ipMasq: true, ipMasqBackend: 'iptables' }],
    ['of a network without addresses', 'iptables', { ipMasq: true, ipam: undefined }],
  ] as const)(
    'that is %s by now, after %s, is removed by DEL with the spoof check',
    async ([, backend, now], { host, container }) => {
      const before = { ipMasq: true, ipMasqBackend: backend, macspoofchk: true, ipam: ipam(host, v4, v6) };
      await succeed(bridge, 'ADD', withHostLocal(host, container, before));
      expect(rulesOf(host)).not.toEqual([]);
      const { ipam: same } = before;
      await succeed(bridge, 'DEL', withHostLocal(host, container, { ipam: same, ...now }));
      expect(rulesOf(host)).toEqual([]);
      await succeed(bridge, 'DEL', withHostLocal(host, container, { ipam: same, ...now }));
    },
  );

  test.for(['iptables', 'nftables'] as const)(
    'by %s that is switched off by now is removed by GC with the spoof check, also while the container lives',
    async (backend, { host, container }) => {
      const on = { ipMasq: true, ipMasqBackend: backend, macspoofchk: true, ipam: ipam(host, v4) };
      const more = { containerId: 'c2', ifname: 'eth1' };
      await succeed(bridge, 'ADD', withHostLocal(host, container, on));
      await succeed(bridge, 'ADD', withHostLocal(host, container, on, more));
      const valid = (...attachments: object[]) => ({
        ipam: on.ipam,
        'cni.dev/valid-attachments': attachments,
      });
      await succeed(
        bridge,
        'GC',
        withHostLocal(host, container, valid({ containerID: 'c2', ifname: 'eth1' })),
      );
      expect(host.sh('nft list table bridge nat')).not.toContain('c1-eth0');
      expect(host.sh('nft list table bridge nat')).toContain('c2-eth1');
      await succeed(bridge, 'GC', withHostLocal(host, container, valid()));
      expect(rulesOf(host)).toEqual([]);
    },
  );

  test('an unknown backend is refused before anything is made; without IPAM the field means nothing (bridge 19)', async ({
    host,
    container,
  }) => {
    const config = { ipMasq: true, ipMasqBackend: 'foo' };
    const before = snapshot(undefined, host.dir);
    const answer = await call(
      bridge,
      'ADD',
      withHostLocal(host, container, { ...config, ipam: ipam(host, v4) }),
    );
    expect(answer.error?.msg).toBe('unknown ipmasq backend "foo"');
    expect(snapshot(undefined, host.dir)).toEqual(before);
    await succeed(bridge, 'ADD', given(host, container, config));
  });
});

describe('the bridge and its ports', () => {
  test('mtu applies to both ends and to a bridge made now (bridge 20)', async ({ host, container }) => {
    await succeed(bridge, 'ADD', given(host, container, { mtu: 1400 }));
    expect(
      json(host.sh('ip -j link'))
        .filter((l: { ifname: string }) => l.ifname !== 'lo')
        .map((l: { mtu: number }) => l.mtu),
    ).toContain(1400);
    expect(port(host)?.mtu).toBe(1400);
    expect(json(host.sh('ip -j link show cni0'))[0].mtu).toBe(1400);
    expect(json(container.sh('ip -j link show eth0'))[0].mtu).toBe(1400);
  });

  test('an existing bridge keeps its MTU; a negative one means default; one out of range is refused (bridge 21)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add cni0 type bridge && ip link set cni0 mtu 1300');
    await succeed(bridge, 'ADD', given(host, container, { mtu: 1450 }));
    expect([json(host.sh('ip -j link show cni0'))[0].mtu, port(host)?.mtu]).toEqual([1300, 1450]);
    await succeed(
      bridge,
      'ADD',
      given(host, host.container('c2'), { bridge: 'br2', mtu: -5 }, { containerId: 'c2' }),
    );
    expect(json(host.sh('ip -j link show br2'))[0].mtu).toBe(1500);
    const big = await call(bridge, 'ADD', given(host, host.container('c3'), { bridge: 'br3', mtu: 70000 }));
    expect(big.error?.msg).toBe(
      'failed to create bridge "br3": could not add "br3": invalid argument: mtu is 70000, must be 68 to 65535',
    );
    expect(host.succeeds('ip link show br3')).toBe(false);
    const small = { mtu: 1000, ipam: ipam(host, v6) };
    const given4 = withHostLocal(host, host.container('c4'), small, { containerId: 'c4' });
    expect((await call(bridge, 'ADD', given4)).error?.msg).toBe(
      '"eth0" has mtu 1000, and IPAM gave it an IPv6 address: IPv6 needs an mtu of at least 1280',
    );
    expect(leases(host)).toEqual([]);
  });

  test('hairpin mode is a switch of the port, and refuses promiscuous mode beside it (bridge 22)', async ({
    host,
    container,
  }) => {
    await succeed(bridge, 'ADD', given(host, container, { hairpinMode: true }));
    expect(port(host)?.linkinfo.info_slave_data.hairpin).toBe(true);
    await succeed(bridge, 'DEL', given(host, container, { hairpinMode: true }));
    await succeed(bridge, 'ADD', given(host, container, {}));
    expect(port(host)?.linkinfo.info_slave_data.hairpin).toBe(false);
    const both = given(host, host.container('c2'), { bridge: 'br2', hairpinMode: true, promiscMode: true });
    expect((await call(bridge, 'ADD', both)).error?.msg).toBe(
      'cannot set hairpin mode and promiscuous mode at the same time',
    );
    expect(host.succeeds('ip link show br2')).toBe(false);
  });

  test('promiscuous mode is switched on and never off; CHECK asks for it where it is configured (bridge 23)', async ({
    host,
    container,
  }) => {
    const on = given(host, container, { promiscMode: true });
    const { result } = await succeed(bridge, 'ADD', on);
    expect(host.sh('ip link show cni0')).toContain('PROMISC');
    await succeed(bridge, 'ADD', given(host, host.container('c2'), {}, { containerId: 'c2' }));
    expect(host.sh('ip link show cni0')).toContain('PROMISC');
    host.sh('ip link set cni0 promisc off');
    const checked = await call(bridge, 'CHECK', { ...on, prevResult: result });
    expect(checked.error?.msg).toBe(
      "Bridge interface cni0 configured Promisc Mode true doesn't match current state: false ",
    );
  });

  test('portIsolation separates containers from each other, not from the bridge (bridge 24)', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, portIsolation: true, ipam: ipam(host, v4) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    await succeed(bridge, 'ADD', withHostLocal(host, host.container('c2'), config, { containerId: 'c2' }));
    expect(port(host)?.linkinfo.info_slave_data.isolated).toBe(true);
    expect(container.succeeds('ping -c1 -W2 10.1.2.1')).toBe(true);
    expect(container.succeeds('ping -c1 -W1 10.1.2.3')).toBe(false);
  });

  test('a taken interface name is refused before an address is asked for (bridge 34)', async ({
    host,
    container,
  }) => {
    container.sh('ip link add eth0 type veth peer name x');
    const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
    const answer = await call(bridge, 'ADD', withHostLocal(host, container, { ipam: ipam(host, v4) }));
    expect(answer.error?.msg).toMatch(
      /^container veth name \("eth0"\) peer provided \("veth[0-9a-f]{8}"\) already exists$/,
    );
    expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
  });

  test('a link of the bridge name that is no bridge is refused (bridge 35)', async ({ host, container }) => {
    host.sh('ip link add x type veth peer name y');
    const answer = await call(bridge, 'ADD', given(host, container, { bridge: 'x' }));
    expect(answer.error?.msg).toBe('failed to create bridge "x": "x" already exists but is not a bridge');
    const status = await call(bridge, 'STATUS', given(host, container, { bridge: 'x' }));
    expect(status.error?.code).toBe(50);
  });

  test('names the kernel does not take are refused with its reason', async ({ host, container }) => {
    const empty = await call(bridge, 'ADD', given(host, container, { bridge: '' }));
    expect(empty.error?.msg).toBe(
      'failed to create bridge "": could not add "": LinkAttrs.Name cannot be empty',
    );
    const long = await call(bridge, 'ADD', given(host, container, { bridge: 'abcdefghijklmnop' }));
    expect(long.error?.msg).toMatch(
      /^failed to create bridge "abcdefghijklmnop": could not add "abcdefghijklmnop": numerical result out of range/,
    );
    const path = await call(bridge, 'ADD', given(host, container, { bridge: '../x' }));
    expect(path.status).toBe(1);
    const template = await call(bridge, 'ADD', given(host, container, { bridge: 'cni%d' }));
    expect(template.error?.msg).toMatch(
      /^failed to create bridge "cni%d": .*: bridge "cni%d": interface name contains %; the kernel takes it for a template/,
    );
    const vlan = { bridge: 'abcdefghijklm', vlan: 100, isGateway: true, ipam: { type: 'host-local' } };
    expect((await call(bridge, 'ADD', given(host, container, vlan))).error?.msg).toMatch(
      /numerical result out of range: bridge and vlan "abcdefghijklm\.100": interface name is too long/,
    );
    expect(json(host.sh('ip -j link show type bridge'))).toEqual([]);
  });
});

describe('configuration', () => {
  const wrong: [object, string][] = [
    [{ vlan: -100 }, 'invalid VLAN ID -100 (must be between 0 and 4094)'],
    [{ vlan: 5000 }, 'invalid VLAN ID 5000 (must be between 0 and 4094)'],
    [{ vlanTrunk: [{ maxID: 5 }] }, 'minID and maxID should be configured simultaneously, minID is missing'],
    [{ vlanTrunk: [{ minID: 5 }] }, 'minID and maxID should be configured simultaneously, maxID is missing'],
    [{ vlanTrunk: [{ minID: 0, maxID: 5 }] }, 'incorrect trunk minID parameter'],
    [{ vlanTrunk: [{ minID: 5, maxID: 5000 }] }, 'incorrect trunk maxID parameter'],
    [{ vlanTrunk: [{ minID: 6, maxID: 5 }] }, 'minID is greater than maxID in trunk parameter'],
    [{ vlanTrunk: [{ id: 5000 }] }, 'incorrect trunk id parameter'],
  ];
  test.for(wrong)(
    '%j is refused by ADD and CHECK, and nothing is made; DEL does without (bridge 27)',
    async ([config, message], { host, container }) => {
      const before = snapshot();
      for (const command of ['ADD', 'CHECK'] as const) {
        expect((await call(bridge, command, given(host, container, config))).error?.msg).toBe(message);
      }
      expect(snapshot()).toEqual(before);
      // The list was edited while the container ran.
      await succeed(bridge, 'ADD', given(host, container, { bridge: 'br0' }));
      await succeed(bridge, 'DEL', given(host, container, { bridge: 'br0', ...config }));
      expect(container.succeeds('ip link show eth0')).toBe(false);
    },
  );

  test('null in vlanTrunk is an error that names it', async ({ host, container }) => {
    const answer = await call(bridge, 'ADD', given(host, container, { vlanTrunk: [null] }));
    expect(answer.error).toMatchObject({ code: 7, msg: expect.stringContaining('vlanTrunk[0]') });
  });

  test('the MAC comes from runtimeConfig, else args, else CNI_ARGS, in any spelling (bridge 31)', async ({
    host,
    container,
  }) => {
    const sources = [
      { runtimeConfig: { mac: '02:00:00:00:00:00' }, args: { cni: { mac: '02:00:00:00:07:89' } } },
      { args: { cni: { mac: '02:00:00:00:07:89' } } },
      { runtimeConfig: { mac: '' } },
    ];
    const seen = [];
    for (const config of sources) {
      const one = given(host, container, config, { args: 'MAC=02:00:00:00:04:56' });
      const { result } = await succeed(bridge, 'ADD', one);
      seen.push(result?.interfaces?.[2]?.mac);
      expect(json(container.sh('ip -j link show eth0'))[0].address).toBe(result?.interfaces?.[2]?.mac);
      await succeed(bridge, 'DEL', one);
    }
    expect(seen).toEqual(['02:00:00:00:00:00', '02:00:00:00:07:89', '02:00:00:00:04:56']);
    const dashes = await succeed(
      bridge,
      'ADD',
      given(host, container, {}, { args: 'MAC=02-00-00-00-00-AA' }),
    );
    expect(dashes.result?.interfaces?.[2]?.mac).toBe('02:00:00:00:00:aa');
  });

  test.for([
    ['zz', 'failed to make veth pair: address zz: invalid MAC address'],
    ['01:00:5e:00:00:01', 'failed to make veth pair: cannot assign requested address'],
    ['02:00:00:00:00:00:00:01', 'failed to make veth pair: invalid argument'],
  ])('the MAC %s is refused (bridge 31)', async ([mac, message], { host, container }) => {
    const before = snapshot();
    const answer = await call(bridge, 'ADD', given(host, container, { runtimeConfig: { mac } }));
    expect(answer.error?.msg.startsWith(message ?? ''), answer.stdout).toBe(true);
    expect(snapshot()).toEqual(before);
  });

  test('unknown CNI_ARGS are refused on ADD unless they may be ignored, and never on DEL (bridge 32)', async ({
    host,
    container,
  }) => {
    const answer = await call(bridge, 'ADD', given(host, container, {}, { args: 'FOO=bar' }));
    expect(answer.error?.msg).toBe('ARGS: unknown args ["FOO=bar"]');
    await succeed(bridge, 'ADD', given(host, container, {}, { args: 'IgnoreUnknown=1;FOO=bar' }));
    await succeed(bridge, 'DEL', given(host, container, {}, { args: 'FOO=bar' }));
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('keys match in any letter case', async ({ host, container }) => {
    await succeed(
      bridge,
      'ADD',
      given(host, container, { BRIDGE: 'br7', RuntimeConfig: { MAC: '02:00:00:00:00:07' } }),
    );
    expect(json(container.sh('ip -j link show eth0'))[0].address).toBe('02:00:00:00:00:07');
    expect(host.succeeds('ip link show br7')).toBe(true);
  });
});

describe('MAC spoofing check', () => {
  test('frames with another source MAC are dropped; DEL leaves the empty chain only (bridge 30)', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, macspoofchk: true, ipam: ipam(host, v4) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    const rules = host.sh('nft list table bridge nat');
    expect(rules).toContain('chain cni-br-iface-c1-eth0-mac');
    expect(rules).toMatch(/ether saddr ([0-9a-f]{2}:){5}[0-9a-f]{2} return comment "macspoofchk-c1-eth0"/);
    expect(container.succeeds('ping -c1 -W2 10.1.2.1')).toBe(true);
    container.sh('ip link set eth0 address 02:00:00:00:00:66');
    host.sh('ip neigh flush dev cni0');
    expect(container.succeeds('ping -c1 -W1 10.1.2.1')).toBe(false);
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    const left = host.sh('nft list table bridge nat');
    expect(left).not.toContain('c1-eth0');
    expect(left).toContain('chain PREROUTING');
  });

  test('CHECK looks at the rules of the link that prevResult names, as the reference names it at random', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, macspoofchk: true, ipam: ipam(host, v4) };
    const { result } = await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    const [, end] = result?.interfaces ?? [];
    const jump = `jump cni-br-iface-c1-eth0 comment '"macspoofchk-c1-eth0"'`;
    host.sh(`ip link set ${end?.name} down; ip link set ${end?.name} name veth31d5ee89; ip link set veth31d5ee89 up
      nft flush chain bridge nat PREROUTING
      nft add rule bridge nat PREROUTING iifname veth31d5ee89 ${jump}`);
    const interfaces = result?.interfaces?.map((one) =>
      one === end ? { ...one, name: 'veth31d5ee89' } : one,
    );
    const given = withHostLocal(host, container, config, { prevResult: { ...result, interfaces } });
    await succeed(bridge, 'CHECK', given);
    host.sh('nft flush chain bridge nat PREROUTING');
    const { error } = await call(bridge, 'CHECK', given);
    expect(error?.msg).toContain('rule "iifname "veth31d5ee89" jump cni-br-iface-c1-eth0');
  });

  test('an IPAM that fails takes the rules away again (bridge 30)', async ({ host, container }) => {
    fakeIpam(host.bin, 'failing', { code: 11, msg: 'try again', details: 'later' }, 1);
    const answer = await call(
      bridge,
      'ADD',
      given(host, container, { macspoofchk: true, ipam: { type: 'failing' } }),
    );
    expect(answer.error).toMatchObject({ code: 11, msg: 'try again' });
    expect(host.sh('nft list ruleset')).not.toContain('c1-eth0');
  });
});

describe('IPAM', () => {
  test('its error comes out with code and message (bridge 42)', async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'failing', { code: 11, msg: 'try again', details: 'later' }, 1);
    const answer = await call(bridge, 'ADD', given(host, container, { ipam: { type: 'failing' } }));
    expect(answer.error).toMatchObject({ code: 11, msg: 'try again' });
    expect(log()).toEqual(['ADD', 'DEL']);
  });

  test('one that gives no address is refused, and told to release (bridge 42)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'empty', { cniVersion: '1.0.0' });
    const answer = await call(bridge, 'ADD', given(host, container, { ipam: { type: 'empty' } }));
    expect(answer.error?.msg).toBe('IPAM plugin returned missing IP config');
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(host.succeeds('ip link show cni0')).toBe(false);
  });

  test('dns of the configuration replaces the one of IPAM, also by an empty list (bridge 39)', async ({
    host,
    container,
  }) => {
    writeFileSync(`${host.dir}/resolv.conf`, 'nameserver 10.1.2.53\n');
    const config = { ipam: { ...ipam(host, v4), resolvConf: `${host.dir}/resolv.conf` } };
    const kept = await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    expect(kept.result?.dns).toEqual({ nameservers: ['10.1.2.53'] });
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    const replaced = await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { ...config, dns: { nameservers: [] } }),
    );
    expect(replaced.result).not.toHaveProperty('dns');
  });

  test('a /31 gets its network address plus one as gateway (bridge 38)', async ({ host, container }) => {
    fakeIpam(host.bin, 'own', { cniVersion: '1.0.0', ips: [{ address: '10.1.2.6/31' }] });
    const { result } = await succeed(
      bridge,
      'ADD',
      given(host, container, { isGateway: true, ipam: { type: 'own' } }),
    );
    expect(result?.ips?.[0]?.gateway).toBe('10.1.2.7');
  });
});

describe('namespaces and versions', () => {
  test('a namespace that is not there fails ADD before the bridge is made; DEL releases the address (bridge 36)', async ({
    host,
    container,
  }) => {
    const config = withHostLocal(host, container, { ipam: ipam(host, v4) });
    await succeed(bridge, 'ADD', config);
    container.remove();
    const gone = { ...config, container: undefined, netns: container.path };
    const other = { ...gone, config: { ...gone.config, bridge: 'br5' } };
    expect((await call(bridge, 'ADD', other)).error?.msg).toBe(
      `failed to open netns "${container.path}": failed to Statfs "${container.path}": no such file or directory`,
    );
    expect(host.succeeds('ip link show br5')).toBe(false);
    await succeed(bridge, 'DEL', gone);
    expect(leases(host)).toEqual([]);
  });

  test('a plain file in place of a namespace fails ADD; to DEL the namespace is gone (bridge 36)', async ({
    host,
    container,
  }) => {
    const netns = `${host.dir}/file`;
    writeFileSync(netns, '');
    const config = { ipam: ipam(host, v4) };
    await succeed(bridge, 'ADD', withHostLocal(host, container, config));
    const stale = withHostLocal(host, container, config, { container: undefined, netns });
    expect((await call(bridge, 'ADD', stale)).error?.msg).toMatch(/unknown FS magic on ".*": [0-9a-f]+/);
    expect(leases(host)).toHaveLength(1);
    for (let i = 0; i < 2; i++) await succeed(bridge, 'DEL', stale);
    expect(leases(host)).toEqual([]);
    expect(port(host)).toBeUndefined();
  });

  test('results of older versions have their shape, and one that cannot be told is not made (bridge 40)', async ({
    host,
    container,
  }) => {
    const config = { isGateway: true, ipam: ipam(host, v4) };
    const old = await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { ...config, cniVersion: '0.4.0' }),
    );
    expect(JSON.parse(old.stdout)).toMatchObject({ ips: [{ version: '4' }], dns: {} });
    await succeed(bridge, 'DEL', withHostLocal(host, container, config));
    const older = await succeed(
      bridge,
      'ADD',
      withHostLocal(host, container, { ...config, cniVersion: '0.2.0' }),
    );
    expect(JSON.parse(older.stdout)).toMatchObject({
      cniVersion: '0.2.0',
      ip4: { ip: expect.stringMatching(/^10\.1\.2\.\d+\/24$/), gateway: '10.1.2.1' },
    });
    const l2 = await call(
      bridge,
      'ADD',
      given(host, host.container('c2'), { cniVersion: '0.2.0', bridge: 'br2' }, { containerId: 'c2' }),
    );
    expect(l2.error?.msg).toBe('cannot convert: no valid IP addresses');
    expect(host.succeeds('ip link show br2')).toBe(false);
  });

  test('CHECK without prevResult and with another sandbox says so (bridge 41)', async ({
    host,
    container,
  }) => {
    const config = withHostLocal(host, container, { isDefaultGateway: true, ipam: ipam(host, v4) });
    const { result } = await succeed(bridge, 'ADD', config);
    expect((await call(bridge, 'CHECK', config)).error?.msg).toBe('Required prevResult missing');
    const moved = {
      ...result,
      interfaces: result?.interfaces?.map((one) => (one.sandbox ? { ...one, sandbox: '/elsewhere' } : one)),
    };
    const answer = await call(bridge, 'CHECK', { ...config, prevResult: moved });
    expect(answer.error?.msg).toBe(
      `Sandbox in prevResult /elsewhere doesn't match configured netns: ${container.path}`,
    );
  });

  test('DEL of a container that never was, and with an empty CNI_NETNS, releases what there is (bridge 43)', async ({
    host,
    container,
  }) => {
    const config = withHostLocal(host, container, { ipam: ipam(host, v4) });
    await succeed(bridge, 'DEL', config);
    await succeed(bridge, 'ADD', config);
    await succeed(bridge, 'DEL', { ...config, container: undefined, netns: '' });
    expect(leases(host)).toEqual([]);
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('STATUS asks IPAM; a configuration ADD would refuse is code 50; old versions are refused (bridge 44)', async ({
    host,
    container,
  }) => {
    await succeed(bridge, 'STATUS', withHostLocal(host, container, { ipam: ipam(host, v4) }));
    const bad = await call(bridge, 'STATUS', given(host, container, { vlan: 9999 }));
    expect(bad.error).toMatchObject({ code: 50, msg: expect.stringContaining('invalid VLAN ID 9999') });
    const tiny = [{ subnet: '10.1.2.0/30' }];
    await succeed(bridge, 'ADD', withHostLocal(host, container, { ipam: ipam(host, tiny) }));
    const strict = { ...ipam(host, tiny), failStatusWhenFull: true };
    const full = await call(bridge, 'STATUS', withHostLocal(host, container, { ipam: strict }));
    expect(full.error?.code).toBe(50);
    for (const command of ['STATUS', 'GC'] as const) {
      const old = await call(bridge, command, given(host, container, { cniVersion: '1.0.0' }));
      expect(old.error).toMatchObject({ code: 1, msg: `config version does not allow ${command}` });
    }
  });
});

test('GC frees addresses and rules of attachments that are gone, and nothing else', async ({
  host,
  container,
}) => {
  const config = {
    isGateway: true,
    ipMasq: true,
    ipMasqBackend: 'nftables',
    macspoofchk: true,
    ipam: ipam(host, v4),
  };
  const kept = withHostLocal(host, container, config);
  const { result } = await succeed(bridge, 'ADD', kept);
  for (const id of ['lost1', 'lost2']) {
    const lost = host.container(id);
    await succeed(bridge, 'ADD', withHostLocal(host, lost, config, { containerId: id }));
    lost.remove();
  }
  expect(leases(host)).toHaveLength(3);
  const valid = [{ containerID: 'c1', ifname: 'eth0' }];
  const gc = { ...kept.config, 'cni.dev/valid-attachments': valid };
  await new Promise((resolve) => setTimeout(resolve, 200)); // the kernel takes a moment to end a namespace
  await succeed(bridge, 'GC', { ...kept, config: gc });
  expect(leases(host)).toEqual(['10.1.2.2']);
  expect(readFileSync(`${host.dir}/networks/net1/10.1.2.2`, 'latin1')).toBe('c1\r\neth0');
  expect(host.sh('nft list ruleset')).not.toContain('lost');
  await succeed(bridge, 'CHECK', { ...kept, prevResult: result });
});
