import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hostLocalWith } from '@cni-ts/host-local/host-local';
import type { Result } from '@cni-ts/spec/result';
import { staticPlugin } from '@cni-ts/static/static';
import { type Call, call, fakeIpam, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, type Host, type Place, test } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { programOf } from '@cni-ts/testing/plugin-process';
import {
  advertiseRouter,
  sendAdvertisement,
  takesAdvertisements,
} from '@cni-ts/testing/router-advertisement';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { ptp } from './ptp.ts';

/** Without an index outside the test's folder. */
const hostLocal = hostLocalWith(undefined);

const dual = (host: Host) => ({
  type: 'host-local',
  dataDir: join(host.dir, 'networks'),
  ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: '2001:db8::/64' }]],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
});

/** A network whose IPAM is a program that looks at no arguments. */
function fakeOne(host: Host): object {
  fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
  return { ...fixed([]), ipam: { type: 'fake' } };
}

const hostEnd = (host: Place) =>
  host
    .sh("ls /sys/class/net 2>/dev/null; ip -o link show type veth | sed 's/^[0-9]*: //; s/@.*//'")
    .trim()
    .split('\n')
    .at(-1) ?? '';

ownLinks(
  ptp,
  { title: 'ptp, dual-stack', plugins: [hostLocal], config: (host) => ({ ipam: dual(host) }) },
  { hostLinks: true },
);

conformance(ptp, [
  {
    title: 'ptp, dual-stack, masqueraded by nftables',
    plugins: [hostLocal],
    config: (host) => ({ ipMasq: true, ipMasqBackend: 'nftables', mtu: 1400, ipam: dual(host) }),
    tamperings: {
      'the link is gone': {
        by: (_, container) => void container.sh('ip link del eth0'),
        says: /^ptp: Container Interface name in prevResult: eth0 not found/,
      },
      'the link is of another kind': {
        by: (_, container) =>
          void container.sh('ip link del eth0; ip link add br0 type bridge; ip link set br0 name eth0'),
        says: /^Error: Container interface eth0 not of type veth\/p2p/,
      },
      'the link is down': {
        by: (_, container) => void container.sh('ip link set eth0 down'),
        says: /^ptp: Container interface eth0 is down/,
      },
      'another MAC': {
        by: (_, container) => void container.sh('ip link set eth0 address 02:00:00:00:00:09'),
        says: /^ptp: Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:09/,
      },
      'an address is gone': {
        by: (_, container) => void container.sh('ip address flush dev eth0 scope global'),
        says: /^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/,
      },
      'the way to the subnet is gone': {
        by: (_, container) => void container.sh('ip route del 10.1.2.0/24'),
        says: /^Failed to find Gateway 10\.1\.2\.1 for interface eth0/,
      },
      'the default route is gone': {
        by: (_, container) => void container.sh('ip -6 route del default'),
        says: /^Expected Route ::\/0/,
      },
      "the host's end is down": {
        by: (host) => void host.sh(`ip link set ${hostEnd(host)} down`),
        says: /ptp: Host interface veth[0-9a-f]{8} is down/,
      },
      'the gateway is gone': {
        by: (host) => void host.sh(`ip address del 10.1.2.1/32 dev ${hostEnd(host)}`),
        says: /^ptp: Gateway address 10\.1\.2\.1 is missing on host interface veth/,
      },
      'the host lost its route': {
        by: (host) => void host.sh('ip -6 route del 2001:db8::2'),
        says: /^ptp: Host route to 2001:db8::2\/128 through veth[0-9a-f]{8} not found/,
      },
      'another MTU on the host': {
        by: (host) => void host.sh(`ip link set ${hostEnd(host)} mtu 1300`),
        says: /^ptp: Host interface veth.* has MTU 1300, configured is 1400/,
      },
      'the host does not forward': {
        by: (host) => void host.sh('echo 0 >/proc/sys/net/ipv6/conf/all/forwarding'),
        says: /^ptp: IPv6 forwarding is off/,
      },
      'masquerading is gone': {
        by: (host) => void host.sh('nft flush ruleset'),
        says: /masquerad/i,
      },
    },
  },
  {
    title: 'ptp, IPv4 only, masqueraded by iptables',
    plugins: [staticPlugin],
    config: () => ({
      ipMasq: true,
      ipMasqBackend: 'iptables',
      ipam: { type: 'static', addresses: [{ address: '10.1.2.2/24', gateway: '10.1.2.1' }] },
    }),
  },
]);

interface Address {
  readonly address: string;
  readonly gateway?: string;
}

/** A configuration whose IPAM hands out what is written in it. */
function fixed(addresses: readonly Address[], more: object = {}, ipam: object = {}): object {
  return {
    cniVersion: '1.1.0',
    name: 'net1',
    type: 'ptp',
    ipam: { type: 'static', addresses, ...ipam },
    ...more,
  };
}

const plain = [{ address: '10.1.2.2/24', gateway: '10.1.2.1' }];

/** How to call ptp with its IPAM plugins in the same program. */
function at(host: Host, container?: Container): Omit<Call, 'config'> {
  const path = pluginFolder(host, 'static', 'host-local');
  return { path, plugins: [staticPlugin, hostLocal], container };
}

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim().replace(/ pref medium$/, ''))
    .filter(Boolean);
const routes = (place: Place) => lines(place.sh('ip route')).sort();
const routes6 = (place: Place) =>
  lines(place.sh('ip -6 route'))
    .filter((line) => !line.startsWith('fe80'))
    .sort();

describe('ADD', () => {
  test('joins container and host by a wire that everything takes (ptp 1)', async ({ host, container }) => {
    const { result } = await succeed(ptp, 'ADD', { ...at(host, container), config: fixed(plain) });
    const [outer, inner] = result?.interfaces ?? [];
    expect(outer?.name).toMatch(/^veth[0-9a-f]{8}$/);
    expect(outer).not.toHaveProperty('sandbox');
    expect(inner).toMatchObject({ name: 'eth0', sandbox: container.path });
    expect(result?.ips).toEqual([{ address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 1 }]);
    expect(result).not.toHaveProperty('routes');
    expect(routes(container)).toEqual([
      '10.1.2.0/24 via 10.1.2.1 dev eth0 src 10.1.2.2',
      '10.1.2.1 dev eth0 scope link src 10.1.2.2',
    ]);
    expect(container.sh('ip address show eth0')).toContain(
      'inet 10.1.2.2/24 brd 10.1.2.255 scope global eth0',
    );
    expect(routes(host)).toEqual([`10.1.2.2 dev ${outer?.name} scope host`]);
    expect(host.sh(`ip address show ${outer?.name}`)).toContain(
      `inet 10.1.2.1/32 scope global ${outer?.name}`,
    );
    expect(host.sh(`cat /proc/sys/net/ipv6/conf/${outer?.name}/accept_ra`).trim()).toBe('0');
    expect(container.sh('ping -c 1 -W 5 10.1.2.1')).toContain('1 received');
    expect(host.sh('cat /proc/sys/net/ipv4/ip_forward').trim()).toBe('1');
    expect(host.sh('cat /proc/sys/net/ipv6/conf/all/forwarding').trim()).toBe('0');
  });

  test('gives routes without gateway the one of their family (ptp 2)', async ({ host, container }) => {
    const base = at(host, container);
    const config = fixed(
      [...plain, { address: '2001:db8:1::2/66', gateway: '2001:db8:1::1' }],
      {},
      {
        routes: [{ dst: '0.0.0.0/0' }, { dst: '192.168.0.0/16' }, { dst: '1.2.3.4/32' }],
      },
    );
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(routes(container)).toEqual(
      expect.arrayContaining([
        'default via 10.1.2.1 dev eth0',
        '192.168.0.0/16 via 10.1.2.1 dev eth0',
        '1.2.3.4 via 10.1.2.1 dev eth0',
      ]),
    );
    expect(routes6(container)).toEqual([
      '2001:db8:1::/66 via 2001:db8:1::1 dev eth0 src 2001:db8:1::2 metric 1024',
      '2001:db8:1::1 dev eth0 src 2001:db8:1::2 metric 1024',
    ]);
    container.sh('ping -c 1 -W 5 10.1.2.1 && ping -c 1 -W 5 2001:db8:1::1');
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
    for (const key of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) {
      expect(host.sh(`cat /proc/sys/net/${key}`).trim()).toBe('1');
    }
  });

  test('sets the MTU of both ends (ptp 3)', async ({ host, container }) => {
    const base = at(host, container);
    const both = async (mtu: number) => {
      await succeed(ptp, 'ADD', { ...base, config: fixed(plain, { mtu }) });
      const read = (place: Place) => Number(/mtu (\d+)/.exec(place.sh('ip link show type veth'))?.[1]);
      const seen = [read(host), read(container)];
      await succeed(ptp, 'DEL', { ...base, config: fixed(plain, { mtu }) });
      return seen;
    };
    expect(await both(1400)).toEqual([1400, 1400]);
    expect(await both(5000)).toEqual([5000, 5000]);
    expect(await both(-1)).toEqual([1500, 1500]);
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    const config = { ...fixed(plain, { mtu: 70000 }), ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { ...base, config });
    expect(error?.msg).toBe('failed to make veth pair: invalid argument: mtu is 70000, must be 68 to 65535');
    expect(log()).toEqual([]);
  });

  test.for([
    [undefined, 'iptables -t nat -S'],
    ['iptables', 'iptables -t nat -S'],
    ['nftables', 'nft list ruleset'],
  ] as const)(
    'hides the container behind the host by %s, where undefined means iptables (ptp 4)',
    async ([backend, look], { host, container }) => {
      const config = fixed(plain, { ipMasq: true, ...(backend && { ipMasqBackend: backend }) });
      const base = at(host, container);
      await succeed(ptp, 'ADD', { ...base, config });
      expect(host.sh(look)).toMatch(
        backend === 'nftables'
          ? /ip saddr 10\.1\.2\.2 ip daddr != 10\.1\.2\.0\/24 masquerade comment "8e48f37d5de60467-f4d01f2ef4b92245, /
          : /-A CNI-c2d892b58e87e28a12fe6479 -d 10\.1\.2\.0\/24 .*-j ACCEPT\n.*! -d 224\.0\.0\.0\/4 .*-j MASQUERADE/,
      );
      await succeed(ptp, 'DEL', { ...base, config });
      expect(host.sh(look)).not.toContain('10.1.2');
    },
  );

  test.for([
    ['iptables', {}],
    ['nftables', {}],
    ['iptables', { ipMasq: true, ipMasqBackend: 'foo' }],
    ['nftables', { ipMasq: true, ipMasqBackend: 'iptables' }],
  ] as const)(
    'removes the masquerading of %s on DEL when the configuration says %j by now',
    async ([backend, now], { host, container }) => {
      const base = at(host, container);
      await succeed(ptp, 'ADD', { ...base, config: fixed(plain, { ipMasq: true, ipMasqBackend: backend }) });
      expect(host.sh('nft list ruleset')).toMatch(/ CNI-|masquerade comment/);
      await succeed(ptp, 'DEL', { ...base, config: fixed(plain, now) });
      expect(host.sh('nft list ruleset')).not.toMatch(/ CNI-|masquerade comment/);
    },
  );

  test('refuses an unknown masquerade backend before IPAM is asked (ptp 5)', async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    const config = { ...fixed([]), ipMasq: true, ipMasqBackend: 'foo', ipam: { type: 'fake' } };
    const before = snapshot();
    const { error } = await call(ptp, 'ADD', { path: host.bin, container, config });
    expect(error?.msg).toBe('unknown ipmasq backend "foo"');
    expect(log()).toEqual([]);
    expect(snapshot()).toEqual(before);
  });

  test('lets all containers share one gateway address (ptp 6)', async ({ host, container }) => {
    const base = at(host);
    const other = host.container('other');
    const second = fixed([{ address: '10.1.2.3/24', gateway: '10.1.2.1' }]);
    await succeed(ptp, 'ADD', { ...base, container, containerId: 'c1', config: fixed(plain) });
    await succeed(ptp, 'ADD', { ...base, container: other, containerId: 'c2', config: second });
    expect(host.sh('ip -o address').match(/10\.1\.2\.1\/32/g)).toHaveLength(2);
    expect(routes(host)).toEqual([
      expect.stringMatching(/^10\.1\.2\.2 dev veth[0-9a-f]{8} scope host$/),
      expect.stringMatching(/^10\.1\.2\.3 dev veth[0-9a-f]{8} scope host$/),
    ]);
    // They reach each other through the host, in one subnet though they are.
    expect(container.sh('ping -c 1 -W 5 10.1.2.3')).toContain('ttl=63');
  });

  test('adds the default route that IPAM wants, and repeats it as IPAM said it (ptp 7)', async ({
    host,
    container,
  }) => {
    const config = fixed(plain, {}, { routes: [{ dst: '0.0.0.0/0' }] });
    const { result } = await succeed(ptp, 'ADD', { ...at(host, container), config });
    expect(routes(container)).toContain('default via 10.1.2.1 dev eth0');
    expect(result?.routes).toEqual([{ dst: '0.0.0.0/0' }]);
  });

  test('tells the MTU of a route and does not program it (ptp 8)', async ({ host, container }) => {
    const route = { dst: '10.8.0.0/16', gw: '10.1.2.1', mtu: 1300 };
    const config = fixed(plain, {}, { routes: [route] });
    const { result } = await succeed(ptp, 'ADD', { ...at(host, container), config });
    expect(result?.routes).toEqual([route]);
    expect(routes(container)).toContain('10.8.0.0/16 via 10.1.2.1 dev eth0');
  });

  test('waits for the link of a namespace that is being removed', async ({ host }) => {
    const base = at(host);
    const config = fixed([{ address: '10.1.2.2/24', gateway: '10.1.2.1' }]);
    for (let turn = 0; turn < 12; turn++) {
      const container = host.container(`turn${turn}`);
      await succeed(ptp, 'ADD', { ...base, container, config });
      // The kernel goes on with that when nobody has it open any more.
      container.remove();
    }
  });

  test('takes a gateway outside the subnet, also for the default route (ptp 9)', async ({
    host,
    container,
  }) => {
    const base = at(host, container);
    const config = fixed(
      [{ address: '10.1.2.2/24', gateway: '10.99.0.1' }],
      {},
      { routes: [{ dst: '0.0.0.0/0' }] },
    );
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(routes(container)).toEqual([
      '10.1.2.0/24 via 10.99.0.1 dev eth0 src 10.1.2.2',
      '10.99.0.1 dev eth0 scope link src 10.1.2.2',
      'default via 10.99.0.1 dev eth0',
    ]);
    container.sh('ping -c 1 -W 5 10.99.0.1');
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
  });

  test('refuses an address without gateway, gives it back and leaves nothing (ptp 10)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.1.2.2/24' }] });
    const before = snapshot();
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { path: host.bin, container, config });
    expect(error?.msg).toMatch(/^failed to add IP addr .*10\.1\.2\.2\/24.* to veth: it has no gateway/);
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(snapshot()).toEqual(before);
  });

  test('gives a container a host prefix, which has no subnet to route (ptp 10)', async ({
    host,
    container,
  }) => {
    const base = at(host, container);
    const config = fixed(
      [{ address: '10.1.2.7/32', gateway: '169.254.1.1' }],
      {},
      { routes: [{ dst: '0.0.0.0/0' }] },
    );
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(routes(container)).toEqual([
      '169.254.1.1 dev eth0 scope link src 10.1.2.7',
      'default via 169.254.1.1 dev eth0',
    ]);
    container.sh('ping -c 1 -W 5 169.254.1.1');
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
  });

  test('gives a container two addresses behind one gateway (ptp 10)', async ({ host, container }) => {
    const base = at(host, container);
    const config = fixed([...plain, { address: '10.1.2.8/24', gateway: '10.1.2.1' }]);
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(routes(container)).toEqual([
      '10.1.2.0/24 via 10.1.2.1 dev eth0 src 10.1.2.2',
      '10.1.2.1 dev eth0 scope link src 10.1.2.2',
    ]);
    host.sh('ping -c 1 -W 5 10.1.2.2 && ping -c 1 -W 5 10.1.2.8');
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
  });

  test("prefers its own dns to IPAM's, by any of its members (ptp 11)", async ({ host, container }) => {
    const base = at(host, container);
    const dnsOf = async (dns?: object) => {
      const config = fixed(plain, dns ? { dns } : {}, { dns: { nameservers: ['9.9.9.9'] } });
      const { result } = await succeed(ptp, 'ADD', { ...base, config });
      await succeed(ptp, 'DEL', { ...base, config });
      return result?.dns;
    };
    expect(await dnsOf()).toEqual({ nameservers: ['9.9.9.9'] });
    expect(await dnsOf({})).toEqual({ nameservers: ['9.9.9.9'] });
    expect(await dnsOf({ nameservers: ['1.1.1.1'] })).toEqual({ nameservers: ['1.1.1.1'] });
    expect(await dnsOf({ search: ['a.example'] })).toEqual({ search: ['a.example'] });
    expect(await dnsOf({ options: ['ndots:5'] })).toEqual({ options: ['ndots:5'] });
    expect(await dnsOf({ domain: 'example.org' })).toEqual({ domain: 'example.org' });
    expect(await dnsOf({ nameservers: [], search: [], options: [] })).toBeUndefined();
  });

  test('cannot do without IPAM, save for GC (ptp 12)', async ({ host, container }) => {
    const config = { cniVersion: '1.1.0', name: 'net1', type: 'ptp' };
    for (const command of ['ADD', 'DEL', 'STATUS'] as const) {
      const { error } = await call(ptp, command, { path: host.bin, container, config });
      expect(error?.msg, command).toBe('no plugin name provided');
    }
    const valid = { 'cni.dev/valid-attachments': [] };
    await succeed(ptp, 'GC', { path: host.bin, config: { ...config, ...valid } });
  });

  test('leaves IPAM alone when there is no namespace (ptp 13)', async ({ host }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { path: host.bin, netns: '/nowhere', config });
    expect(error?.msg).toBe(
      'failed to open netns "/nowhere": failed to Statfs "/nowhere": no such file or directory',
    );
    expect(log()).toEqual([]);
  });

  test('creates nothing and gives back what it got when IPAM has no address (ptp 17)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0' });
    const before = snapshot();
    const { error } = await call(ptp, 'ADD', {
      path: host.bin,
      container,
      config: { ...fixed([]), ipam: { type: 'fake' } },
    });
    expect(error?.msg).toBe('IPAM plugin returned missing IP config');
    expect(log()).toEqual(['ADD', 'DEL']);
    expect(snapshot()).toEqual(before);
  });

  test("answers with IPAM's own error (ptp 18)", async ({ host, container }) => {
    fakeIpam(host.bin, 'fake', { code: 11, msg: 'try again', details: 'later' }, 1);
    const before = snapshot();
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { path: host.bin, container, config });
    expect(error).toEqual({ code: 11, msg: 'try again', details: 'later' });
    expect(snapshot()).toEqual(before);
  });

  test('leaves a link alone that has the name already (ptp 19)', async ({ host, container }) => {
    container.sh('ip link add eth0 type bridge');
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    const before = snapshot();
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { path: host.bin, container, config });
    expect(error?.msg).toMatch(
      /^container veth name \("eth0"\) peer provided \("veth[0-9a-f]{8}"\) already exists/,
    );
    expect(log()).toEqual([]);
    expect(snapshot()).toEqual(before);
    expect(container.sh('ip -d link show eth0')).toContain('bridge');
  });

  test('waits for nobody with IPv6: there is nobody else on the wire (ptp 24)', async ({
    host,
    container,
  }) => {
    const config = fixed([{ address: '2001:db8::2/64', gateway: '2001:db8::1' }]);
    const start = performance.now();
    await succeed(ptp, 'ADD', { ...at(host, container), config });
    // The kernel's look for duplicates takes a second and more.
    expect(performance.now() - start).toBeLessThan(1000);
    expect(container.sh('ip -6 address show dev eth0 scope global')).not.toContain('tentative');
    expect(container.sh('cat /proc/sys/net/ipv6/conf/eth0/accept_dad').trim()).toBe('1');
    container.sh('ping -c 1 -W 5 2001:db8::1');
    host.sh('ping -c 1 -W 5 2001:db8::2');
  });

  test('lets in at once what the host forwards by IPv6', async ({ host, container }) => {
    const outside = host.container('outside');
    host.sh(`ip link add up0 type veth peer name eth0 netns ${outside.path}; ip link set up0 up`);
    host.sh('ip addr add 2001:db8:1::1/64 dev up0 nodad');
    outside.sh('ip addr add 2001:db8:1::2/64 dev eth0 nodad; ip link set eth0 up');
    outside.sh('ip route add default via 2001:db8:1::1');
    const config = fixed(
      [{ address: '2001:db8::2/64', gateway: '2001:db8::1' }],
      {},
      { routes: [{ dst: '::/0' }] },
    );
    await succeed(ptp, 'ADD', { ...at(host, container), config });
    outside.sh('ping -c 1 -W 5 2001:db8::2');
  });

  test('takes a link-local gateway', async ({ host, container }) => {
    const base = at(host, container);
    const config = fixed(
      [{ address: '2001:db8::2/64', gateway: 'fe80::1' }],
      {},
      { routes: [{ dst: '::/0' }] },
    );
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(routes6(container)).toContain('default via fe80::1 dev eth0 metric 1024');
    host.sh('ping -c 1 -W 5 2001:db8::2');
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
  });

  test('does not look at CNI_ARGS (ptp 25)', async ({ host, container }) => {
    await succeed(ptp, 'ADD', { ...at(host, container), config: fakeOne(host), args: 'FOO=bar' });
  });

  test('does nothing in its own namespace (ptp 26)', async ({ host }) => {
    const before = snapshot();
    const { error } = await call(ptp, 'ADD', {
      ...at(host),
      netns: '/proc/thread-self/ns/net',
      config: fixed(plain),
    });
    expect(error).toMatchObject({
      code: 8,
      msg: "plugin's netns and netns from CNI_NETNS should not be the same",
    });
    expect(snapshot()).toEqual(before);
  });

  test("replaces IPAM's interfaces and indexes (ptp 27)", async ({ host, container }) => {
    fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
      ips: [{ ...plain[0], interface: 2 }],
    });
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const { result } = await succeed(ptp, 'ADD', { path: host.bin, container, config });
    expect(result?.interfaces?.map(({ name }) => name)).toEqual([expect.stringMatching(/^veth/), 'eth0']);
    expect(result?.ips?.[0]?.interface).toBe(1);
  });

  test.for(['iptables', 'nftables'])(
    'routes two IPv4 subnets over one wire, with %s (ptp 28)',
    async (ipMasqBackend, { host, container }) => {
      const config = fixed([...plain, { address: '10.1.3.2/24', gateway: '10.1.3.1' }], {
        ipMasq: true,
        ipMasqBackend,
      });
      const base = at(host, container);
      const { result } = await succeed(ptp, 'ADD', { ...base, config });
      expect(routes(container)).toEqual([
        '10.1.2.0/24 via 10.1.2.1 dev eth0 src 10.1.2.2',
        '10.1.2.1 dev eth0 scope link src 10.1.2.2',
        '10.1.3.0/24 via 10.1.3.1 dev eth0 src 10.1.3.2',
        '10.1.3.1 dev eth0 scope link src 10.1.3.2',
      ]);
      expect(routes(host)).toHaveLength(2);
      await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
      await succeed(ptp, 'DEL', { ...base, config });
      expect(host.sh(ipMasqBackend === 'iptables' ? 'iptables -t nat -S' : 'nft list ruleset')).not.toContain(
        '10.1.',
      );
    },
  );

  test("refuses a gateway that is the container's own address (ptp 29)", async ({ host, container }) => {
    const before = snapshot();
    const config = fixed([{ address: '10.1.2.2/24', gateway: '10.1.2.2' }]);
    const { error } = await call(ptp, 'ADD', { ...at(host, container), config });
    expect(error?.msg).toMatch(/its gateway is that very address$/);
    expect(snapshot()).toEqual(before);
  });

  test('refuses an mtu that is no number before IPAM is asked (ptp 30)', async ({ host, container }) => {
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    const config = { ...fixed([]), mtu: '1500', ipam: { type: 'fake' } };
    const { error } = await call(ptp, 'ADD', { path: host.bin, container, config });
    expect(error?.msg).toMatch(/^failed to load netconf: mtu: expected a number/);
    expect(log()).toEqual([]);
  });

  test('says so when the host routes the address elsewhere already', async ({ host, container }) => {
    const base = at(host, container);
    host.sh(
      'ip link add other type veth peer name rehto; ip link set other up; ip route add 10.1.2.2 dev other',
    );
    const config = fixed(plain);
    const { stderr, result } = await succeed(ptp, 'ADD', { ...base, config });
    expect(stderr).toMatch(/^ptp: the host has a route to 10\.1\.2\.2 already, which is kept/);
    const { error } = await call(ptp, 'CHECK', { ...base, config, prevResult: result });
    expect(error?.msg).toMatch(/^ptp: Host route to 10\.1\.2\.2\/32 through veth[0-9a-f]{8} not found/);
  });
});

test('forwarding that is on already needs no writable /proc/sys (ptp 20)', async ({ host, container }) => {
  fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
  const input = join(host.dir, 'input');
  writeFileSync(input, JSON.stringify({ ...fixed([]), ipam: { type: 'fake' } }));
  const variables = `CNI_CONTAINERID=c1 CNI_NETNS=${container.path} CNI_IFNAME=eth0 CNI_PATH=${host.bin}`;
  const program = programOf(ptp).join(' ');
  const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys';
  const add = () =>
    JSON.parse(
      host.sh(
        `unshare -m bash -c '${readOnly} && ${variables} CNI_COMMAND=ADD ${program} <${input} || true'`,
      ),
    );
  expect(add().msg).toBe(
    'Could not enable IP forwarding: open /proc/sys/net/ipv4/ip_forward: read-only file system',
  );
  expect(container.succeeds('ip link show eth0')).toBe(false);
  host.sh('echo 1 >/proc/sys/net/ipv4/ip_forward');
  expect(add().ips).toHaveLength(1);
});

describe('DEL', () => {
  test('takes a file that is no namespace for one that is gone, and gives the address back (ptp 13)', async ({
    host,
  }) => {
    const log = fakeIpam(host.bin, 'fake', {});
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    const netns = join(host.dir, 'file');
    writeFileSync(netns, '');
    await succeed(ptp, 'DEL', { path: host.bin, netns: '/nowhere', config });
    await succeed(ptp, 'DEL', { path: host.bin, netns, config });
    expect(log()).toEqual(['DEL', 'DEL']);
  });

  test('with an empty CNI_NETNS deletes the pair by its host end (ptp 14)', async ({ host, container }) => {
    const base = at(host);
    const before = snapshot();
    await succeed(ptp, 'ADD', { ...base, container, config: fixed(plain) });
    await succeed(ptp, 'DEL', { ...base, netns: '', config: fixed(plain) });
    expect(container.succeeds('ip link show eth0')).toBe(false);
    host.sh('echo 0 >/proc/sys/net/ipv4/ip_forward');
    expect(snapshot()).toEqual(before);
  });

  test('is fine with nothing there (ptp 15)', async ({ host, container }) => {
    const base = at(host, container);
    await succeed(ptp, 'DEL', { ...base, config: fixed(plain) });
    await succeed(ptp, 'ADD', { ...base, config: fixed(plain) });
    await succeed(ptp, 'DEL', { ...base, config: fixed(plain) });
    await succeed(ptp, 'DEL', { ...base, config: fixed(plain) });
  });

  test('deletes the link although IPAM fails, and reports that (ptp 16)', async ({ host, container }) => {
    const config = { ...fixed([]), ipam: { type: 'fake' } };
    fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: plain });
    await succeed(ptp, 'ADD', { path: host.bin, container, config });
    writeFileSync(
      join(host.bin, 'fake'),
      '#!/bin/sh\ncat >/dev/null\necho \'{"code": 100, "msg": "no luck"}\'\nexit 1\n',
    );
    const { error } = await call(ptp, 'DEL', { path: host.bin, container, config });
    expect(error).toEqual({ code: 100, msg: 'no luck' });
    expect(container.succeeds('ip link show eth0')).toBe(false);
  });

  test('spares the rules of another interface of the same container', async ({ host, container }) => {
    const base = at(host, container);
    const config = (address: string) =>
      fixed([{ address, gateway: address.replace(/\.2\/.*/, '.1') }], {
        ipMasq: true,
        ipMasqBackend: 'iptables',
      });
    await succeed(ptp, 'ADD', { ...base, ifname: 'eth0', config: config('10.1.2.2/24') });
    const second = await succeed(ptp, 'ADD', { ...base, ifname: 'eth1', config: config('10.1.3.2/32') });
    await succeed(ptp, 'DEL', { ...base, ifname: 'eth0', config: config('10.1.2.2/24') });
    expect(host.sh('iptables -t nat -S')).toContain('10.1.3.2');
    const check = { ...base, ifname: 'eth1', config: config('10.1.3.2/32'), prevResult: second.result };
    await succeed(ptp, 'CHECK', check);
  });
});

describe('CHECK', () => {
  test('wants a prevResult with the container in it (ptp 21)', async ({ host, container }) => {
    const base = at(host, container);
    const config = fixed(plain);
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    const message = async (prevResult?: Result) =>
      (await call(ptp, 'CHECK', { ...base, config, prevResult })).error?.msg;
    expect(await message(result)).toBeUndefined();
    expect(await message()).toBe('ptp: Required prevResult missing');
    const elsewhere = result?.interfaces?.map((one) =>
      one.sandbox ? { ...one, sandbox: '/elsewhere' } : one,
    );
    expect(await message({ ...result, interfaces: elsewhere ?? [] })).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
    expect(await message({ ...result, routes: [{ dst: '10.9.0.0/16' }] })).toMatch(/^Expected Route /);
    container.sh('ip address flush dev eth0 scope global');
    expect(await message(result)).toMatch(/^Failed to match addr 10\.1\.2\.2\/24 on interface eth0/);
  });

  test("takes the host's end that the reference made and named, and no other", async ({
    host,
    container,
  }) => {
    const base = at(host, container);
    const config = fixed([{ address: '10.1.2.3/24', gateway: '10.1.2.1' }]);
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    const [end, ...others] = result?.interfaces ?? [];
    const named = (name: string) => ({ ...result, interfaces: [{ ...end, name }, ...others] });
    host.sh(`ip link set ${end?.name} name vethrandom`);
    await succeed(ptp, 'CHECK', { ...base, config, prevResult: named('vethrandom') });
    host.sh('ip link add other type veth peer name x');
    const { error } = await call(ptp, 'CHECK', { ...base, config, prevResult: named('other') });
    expect(error?.msg).toMatch(/^ptp: Host interface other is not the other end of eth0/);
  });

  test('is too new for version 0.3.1 (ptp 22)', async ({ host, container }) => {
    const config = { ...fixed(plain), cniVersion: '0.3.1' };
    const { error } = await call(ptp, 'CHECK', { ...at(host, container), config });
    expect(error).toEqual({ code: 1, msg: 'config version does not allow CHECK' });
  });
});

test("results have the shape of the configuration's version (ptp 23)", async ({ host, container }) => {
  const base = at(host, container);
  const inVersion = async (cniVersion: string) => {
    const config = fixed(plain, { cniVersion });
    const { result } = await succeed(ptp, 'ADD', { ...base, config });
    await succeed(ptp, 'DEL', { ...base, config });
    return result;
  };
  expect(await inVersion('0.2.0')).toEqual({
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.2.2/24', gateway: '10.1.2.1' },
    dns: {},
  });
  expect(await inVersion('0.4.0')).toMatchObject({
    ips: [{ version: '4', address: '10.1.2.2/24', gateway: '10.1.2.1', interface: 1 }],
    dns: {},
  });
});

test('no router advertisement gives the container an address or a route', async ({ host, container }) => {
  const { result } = await succeed(ptp, 'ADD', { ...at(host, container), config: fixed(plain) });
  const witness = host.container('witness');
  host.sh(`ip link add hw type veth peer name eth0 netns ${witness.path}; ip link set hw up`);
  witness.sh('ip link set eth0 up');
  const end = result?.interfaces?.[0]?.name ?? '';
  for (const link of [end, 'hw']) host.sh(`ip -6 address add fe80::99/64 dev ${link} nodad`);
  await advertiseRouter(host, 'hw', witness);
  for (let times = 0; times < 5; times++) {
    sendAdvertisement(host, end);
    await pause(100);
  }
  expect(takesAdvertisements(container), container.sh('ip -6 addr; ip -6 route')).toBe(false);
});

test('STATUS tells a masquerade backend that is none', async ({ host }) => {
  const config = fixed(plain, { ipMasq: true, ipMasqBackend: 'pf' });
  const { error } = await call(ptp, 'STATUS', { ...at(host), config });
  expect(error).toMatchObject({ code: 50, msg: 'ptp cannot serve ADD: unknown ipmasq backend "pf"' });
});

test('the example works', async ({ host, container }) => {
  const { plugins, ...list } = JSON.parse(
    readFileSync(join(import.meta.dirname, '../examples/ptp.conflist'), 'utf8'),
  );
  const config = {
    ...list,
    ...plugins[0],
    ipam: { ...plugins[0].ipam, dataDir: join(host.dir, 'networks') },
  };
  const base = at(host, container);
  const { result } = await succeed(ptp, 'ADD', { ...base, config });
  await succeed(ptp, 'CHECK', { ...base, config, prevResult: result });
  await succeed(ptp, 'DEL', { ...base, config, prevResult: result });
});
