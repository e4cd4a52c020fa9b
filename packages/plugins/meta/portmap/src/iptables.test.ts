import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import { goPlugins } from '@cni-ts/testing/needs';
import { callsOf, connect, mappings, resultOf, type Short } from '@cni-ts/testing/published-ports';
import { describe, expect } from 'vitest';
import { iptablesChain } from './owner.ts';
import { portmap } from './portmap.ts';

const caller = (...of: [Container, (object | null)?]) => callsOf(portmap, ...of);

const web = { backend: 'iptables', ...mappings([8080, 80]) };
const chain = iptablesChain({ network: 'test', containerId: 'c1', ifname: 'eth0' });

/** The rules of the nat table, of our chains and those that lead there. */
function nat(host: Host, family: 4 | 6 = 4): string[] {
  return host
    .sh(`ip${family === 6 ? '6' : ''}tables-save -t nat`)
    .split('\n')
    .filter((line) => line.startsWith('-A'));
}
const chains = (host: Host, family: 4 | 6 = 4) =>
  [...host.sh(`ip${family === 6 ? '6' : ''}tables-save -t nat`).matchAll(/^:(CNI-\S+)/gm)].map(
    ([, name]) => name,
  );
/** The ports of the host that are redirected. */
const redirected = (host: Host) =>
  nat(host)
    .flatMap((line) => /--dport (\d+) -j DNAT/.exec(line)?.[1] ?? [])
    .sort();
const localnet = (host: Host, link: string) =>
  host.sh(`cat /proc/sys/net/ipv4/conf/${link}/route_localnet`).trim();

test('names of chains are as the reference makes them, but for another interface than eth0', () => {
  const known = { network: 'test', containerId: 'icee6giejonei6so', ifname: 'eth0' };
  expect(iptablesChain(known)).toBe('CNI-DN-022110f36292712c8bb50');
  expect(iptablesChain({ ...known, ifname: 'net1' })).not.toBe(iptablesChain(known));
});

test("the rules are the reference's, in both families (portmap 9)", async ({ host, container }) => {
  const { ok } = caller(container, connect(host, container));
  await ok('ADD', web);
  const dnat = (family: string) => [
    '-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
    '-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT',
    '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
    family,
    `-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"test\\" id: \\"c1\\"" -m multiport --dports 8080 -j ${chain}`,
    '-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE',
    '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
  ];
  expect(nat(host).sort()).toEqual(
    [
      ...dnat(`-A ${chain} -s 10.254.0.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK`),
      `-A ${chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK`,
      `-A ${chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.254.0.2:80`,
    ].sort(),
  );
  expect(nat(host, 6).sort()).toEqual(
    [
      ...dnat(`-A ${chain} -s 2001:db8::/64 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK`),
      `-A ${chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination [2001:db8::2]:80`,
      // A container cannot be reached under this name: see the traffic.
      '-A CNI-HOSTPORT-DNAT -d ::1/128 -j RETURN',
    ].sort(),
  );
  expect(localnet(host, 'br254')).toBe('1');
});

test("masquerading comes before others', redirection after (portmap 10)", async ({ host, container }) => {
  host.sh(`iptables -t nat -A POSTROUTING -s 10.254.0.0/24 -j ACCEPT
    iptables -t nat -A PREROUTING -p tcp -j ACCEPT; iptables -t nat -A OUTPUT -p tcp -j ACCEPT`);
  await caller(container).ok('ADD', web);
  const of = (name: string) => nat(host).filter((line) => line.startsWith(`-A ${name} `));
  expect(of('POSTROUTING')[0]).toMatch(/-j CNI-HOSTPORT-MASQ$/);
  expect(of('PREROUTING').at(-1)).toMatch(/-j CNI-HOSTPORT-DNAT$/);
  expect(of('OUTPUT').at(-1)).toMatch(/-j CNI-HOSTPORT-DNAT$/);
});

const several: Short[] = [
  [8080, 80],
  [8081, 81],
  [8083, 83, 'tcp', '192.168.0.2'],
  [8084, 84, 'tcp', '0.0.0.0'],
  [8085, 85, 'tcp', '2001:db8:a::1'],
  [8086, 86, 'tcp', '::'],
  [8080, 80, 'udp'],
];

test('host addresses limit mappings to their family and, unless unspecified, to themselves (portmap 11)', async ({
  host,
  container,
}) => {
  await caller(container).ok('ADD', { backend: 'iptables', ...mappings(...several) });
  const entries = (family: 4 | 6) =>
    nat(host, family)
      .filter((line) => line.startsWith('-A CNI-HOSTPORT-DNAT -p'))
      .map((line) => /-p (\w+) .*--dports (\S+)/.exec(line)?.slice(1).join(' '));
  expect(entries(4)).toEqual(['tcp 8080,8081,8083,8084,8085,8086', 'udp 8080']);
  expect(entries(6)).toEqual(['tcp 8080,8081,8083,8084,8085,8086', 'udp 8080']);
  const redirected = (family: 4 | 6) =>
    nat(host, family)
      .filter((line) => line.includes('-j DNAT'))
      .map((line) => line.replace(/^-A \S+ | -m \w+|-j .*/g, '').trim());
  expect(redirected(4)).toEqual([
    '-p tcp --dport 8080',
    '-p tcp --dport 8081',
    '-d 192.168.0.2/32 -p tcp --dport 8083',
    '-p tcp --dport 8084',
    '-p udp --dport 8080',
  ]);
  expect(redirected(6)).toEqual([
    '-p tcp --dport 8080',
    '-p tcp --dport 8081',
    '-d 2001:db8:a::1/128 -p tcp --dport 8085',
    '-p tcp --dport 8086',
    '-p udp --dport 8080',
  ]);
});

test('one rule leads fifteen ports to the chain (portmap 12)', async ({ host, container }) => {
  const many = Array.from({ length: 32 }, (_, i): Short => [9000 + i, 80 + i]);
  const { ok } = caller(container);
  await ok('ADD', { backend: 'iptables', ...mappings(...many) });
  const counts = nat(host).flatMap((line) => /--dports (\S+)/.exec(line)?.[1]?.split(',').length ?? []);
  expect(counts).toEqual([15, 15, 2]);
  await ok('CHECK', { backend: 'iptables', ...mappings(...many) });
  // Repeated with fewer, nothing stale stays.
  await ok('ADD', web);
  expect(nat(host).filter((line) => line.includes('--dports'))).toHaveLength(1);
  expect(nat(host).filter((line) => line.includes('-j DNAT'))).toHaveLength(1);
});

test('without snat there is redirection alone (portmap 13)', async ({ host, container }) => {
  const { ok } = caller(container, connect(host, container));
  await ok('ADD', { ...web, snat: false });
  expect(chains(host).sort()).toEqual([chain, 'CNI-HOSTPORT-DNAT'].sort());
  expect(nat(host).filter((line) => line.startsWith(`-A ${chain}`))).toEqual([
    `-A ${chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.254.0.2:80`,
  ]);
  expect(localnet(host, 'br254')).toBe('0');
  await ok('CHECK', { ...web, snat: false });
});

test('masqAll marks every source (portmap 14)', async ({ host, container }) => {
  await caller(container).ok('ADD', { ...web, masqAll: true });
  const marking = (family: 4 | 6) => nat(host, family).filter((line) => line.endsWith('SETMARK'));
  for (const family of [4, 6] as const) {
    expect(marking(family)).toEqual([`-A ${chain} -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK`]);
  }
});

test('another chain can set the mark, and has to be there (portmap 15)', async ({ host, container }) => {
  const { ok, error } = caller(container);
  const own = { ...web, externalSetMarkChain: 'KUBE-MARK-MASQ' };
  expect(await error('ADD', own)).toMatch(/^unable to setup DNAT: .*KUBE-MARK-MASQ/s);
  expect(chains(host)).toEqual([]);
  host.sh('iptables -t nat -N KUBE-MARK-MASQ; ip6tables -t nat -N KUBE-MARK-MASQ');
  await ok('ADD', own);
  expect(chains(host).sort()).toEqual([chain, 'CNI-HOSTPORT-DNAT'].sort());
  expect(nat(host).filter((line) => line.endsWith('-j KUBE-MARK-MASQ'))).toHaveLength(2);
  await ok('CHECK', own);
  await ok('DEL', own);
  expect(chains(host)).toEqual([]);
});

test('a second ADD changes nothing (portmap 16)', async ({ host, container }) => {
  const { ok } = caller(container);
  const own = { backend: 'iptables', ...mappings(...several) };
  await ok('ADD', own);
  const before = [nat(host), nat(host, 6)];
  await ok('ADD', own);
  expect([nat(host), nat(host, 6)]).toEqual(before);
});

test('CHECK tells what is missing where (portmap 17)', async ({ host, container }) => {
  const { ok, error } = caller(container);
  await ok('ADD', web);
  await ok('CHECK', web);
  expect(await error('CHECK', web, { containerId: 'c2' })).toMatch(
    /^could not check ipv4 dnat: chain CNI-DN-[0-9a-f]{21} not found in iptables table nat/,
  );
  host.sh(`iptables -t nat -D ${chain} 3`);
  expect(await error('CHECK', web)).toMatch(
    new RegExp(`^could not check ipv4 dnat: rule \\[\\[.*\\]\\] in chain ${chain} not found in table nat`),
  );
  await ok('ADD', web);
  host.sh('ip6tables -t nat -D CNI-HOSTPORT-DNAT 2');
  expect(await error('CHECK', web)).toMatch(
    /^could not check ipv6 dnat: rule \[\[.*\]\] in chain CNI-HOSTPORT-DNAT not found in table nat/,
  );
});

test('CHECK also sees that packets from outside are not looked at any more (portmap 18)', async ({
  host,
  container,
}) => {
  const { ok, error } = caller(container);
  await ok('ADD', web);
  host.sh('iptables -t nat -F PREROUTING');
  expect(await error('CHECK', web)).toMatch(/in chain PREROUTING not found in table nat/);
  await ok('ADD', web);
  await ok('CHECK', web);
});

test('DEL needs neither result nor namespace and leaves others their rules (portmap 19)', async ({
  host,
  container,
}) => {
  const { ok } = caller(container);
  const other = { backend: 'iptables', ...mappings([8081, 80]) };
  await ok('ADD', web);
  const alone = [nat(host), nat(host, 6)];
  await ok('ADD', other, { containerId: 'c2' });
  const bare = { prevResult: undefined, netns: '', container: undefined };
  await ok('DEL', other, { containerId: 'c2', ...bare });
  expect([nat(host), nat(host, 6)]).toEqual(alone);
  await ok('DEL', other, { containerId: 'c2', ...bare });
  await ok('CHECK', web);
  await ok('DEL', web, bare);
  expect([chains(host), chains(host, 6), nat(host)]).toEqual([[], [], []]);
});

test('DEL needs no runtimeConfig (portmap 20)', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  await ok('DEL', { backend: 'iptables' });
  expect([chains(host), chains(host, 6)]).toEqual([[], []]);
});

test('a container that the host has no way to is mapped all the same (portmap 29)', async ({
  host,
  container,
}) => {
  for (const backend of ['iptables', 'nftables']) {
    const { ok } = caller(container, resultOf(container, ['10.99.0.2/24']));
    await ok('ADD', { ...web, backend });
    await ok('CHECK', { ...web, backend });
    expect(host.sh('grep -L 0 /proc/sys/net/ipv4/conf/*/route_localnet || true')).toBe('');
    await ok('DEL', { ...web, backend });
  }
});

test('a long container ID is cut in the comment (portmap 34)', async ({ host, container }) => {
  const containerId = 'c'.repeat(300);
  const { ok } = caller(container);
  await ok('ADD', web, { containerId });
  const [, comment] = /--comment "((?:[^"\\]|\\.)*)" -m multiport/.exec(nat(host).join('\n')) ?? [];
  expect(comment?.replaceAll('\\"', '"')).toBe(`dnat name: "test" id: "${'c'.repeat(253 - 23)}..`);
  await ok('CHECK', web, { containerId });
  await ok('DEL', web, { containerId });
  expect(chains(host)).toEqual([]);
});

test('conditions are asked before a packet is led to the chain, and CHECK knows them', async ({
  host,
  container,
}) => {
  const { ok, error } = caller(container);
  const own = { ...web, conditionsV4: ['!', '-s', '192.168.7.0/24'], conditionsV6: ['-i', 'eth+'] };
  await ok('ADD', own);
  expect(nat(host).find((line) => line.startsWith('-A CNI-HOSTPORT-DNAT'))).toContain('! -s 192.168.7.0/24');
  await ok('CHECK', own);
  expect(await error('CHECK', { ...own, conditionsV4: ['-s', '192.168.7.0/24'] })).toContain(
    'in chain CNI-HOSTPORT-DNAT not found',
  );
  await ok('DEL', own);
});

test('a port is taken also where its owner is asked for on the condition of a source of one byte', async ({
  container,
}) => {
  const { ok, error } = caller(container, resultOf(container, ['10.254.0.2/24']));
  await ok('ADD', { ...web, conditionsV4: ['-s', '10.0.0.0/8'] });
  expect(await error('ADD', web, { containerId: 'c2' })).toMatch(
    /^host port tcp \*:8080 is held by container c1/,
  );
});

test('an attachment of another network or interface has rules of its own', async ({ host, container }) => {
  const { ok } = caller(container);
  const more = { config: { cniVersion: '1.1.0', name: 'other', type: 'portmap', ...web } };
  await ok('ADD', web);
  await ok('ADD', web, more);
  await ok('DEL', web);
  expect(chains(host)).toContain(iptablesChain({ network: 'other', containerId: 'c1', ifname: 'eth0' }));
  expect(chains(host)).not.toContain(chain);
});

test('GC removes what is not in the list, of its own network alone', async ({ host, container }) => {
  const { ok } = caller(container);
  const other = { config: { cniVersion: '1.1.0', name: 'other', type: 'portmap', ...web } };
  await ok('ADD', web);
  await ok('ADD', { backend: 'iptables', ...mappings([8081, 80]) }, { containerId: 'c2' });
  await ok('ADD', web, other);
  const valid = [{ containerID: 'c2', ifname: 'eth0' }];
  await ok('GC', { ...web, 'cni.dev/valid-attachments': valid });
  const left = ['test c2', 'other c1'].map((name) => {
    const [network = '', containerId = ''] = name.split(' ');
    return iptablesChain({ network, containerId, ifname: 'eth0' });
  });
  expect(
    chains(host)
      .filter((name) => name?.startsWith('CNI-DN-'))
      .sort(),
  ).toEqual(left.sort());
});

/** What the names of network and container run together to is the same for both. */
const together = [
  { network: 'net1', containerId: '1abc', port: 8081, n: 3 },
  { network: 'net11', containerId: 'abc', port: 8082, n: 4 },
] as const;

test.for([
  [0, 1],
  [1, 0],
])(
  'names that run together to the same are two attachments, whoever comes first and goes first: %j',
  async (order, { host, container }) => {
    const calls = order.map((i) => {
      const { network, containerId, port, n } = together[i]!;
      const { ok } = callsOf(portmap, container, resultOf(container, [`10.254.0.${n}/24`]));
      const config = { cniVersion: '1.1.0', name: network, type: 'portmap', backend: 'iptables' };
      const given = (more: object = {}) => ({
        containerId,
        config: { ...config, ...mappings([port, 80]), ...more },
      });
      return { port, valid: [{ containerID: containerId, ifname: 'eth0' }], given, ok };
    });
    const [first, second] = [calls[0]!, calls[1]!];
    for (const { ok, given } of calls) await ok('ADD', {}, given());
    for (const { ok, given } of calls) await ok('CHECK', {}, given());
    await second.ok('ADD', {}, second.given()); // repeated, it replaces its own
    expect(redirected(host)).toEqual(['8081', '8082']);
    for (const { ok, given, valid } of calls) {
      await ok('GC', {}, given({ 'cni.dev/valid-attachments': valid }));
    }
    expect(redirected(host)).toEqual(['8081', '8082']);
    await first.ok('DEL', {}, first.given());
    await first.ok('DEL', {}, first.given());
    expect(redirected(host)).toEqual([String(second.port)]);
    await second.ok('CHECK', {}, second.given());
    await second.ok('DEL', {}, second.given());
    expect(chains(host)).toEqual([]);
  },
);

test.for([
  ['eth0', '8080'],
  ['eth1', '8081'],
] as const)(
  'GC tells the interfaces of one container apart: %s stays',
  async ([ifname, port], { host, container }) => {
    for (const [i, one] of ['eth0', 'eth1'].entries()) {
      const { ok } = callsOf(portmap, container, {
        cniVersion: '1.1.0',
        ips: [{ address: `10.254.0.${i + 2}/24` }],
      });
      await ok('ADD', { backend: 'iptables', ...mappings([8080 + i, 80]) }, { ifname: one });
    }
    const valid = [{ containerID: 'c1', ifname }];
    await caller(container).ok('GC', { ...web, 'cni.dev/valid-attachments': valid });
    expect(redirected(host)).toEqual([port]);
  },
);

test("what the reference made for another interface than eth0 satisfies CHECK, and goes by that one's address", async ({
  host,
  container,
}) => {
  const net1 = { cniVersion: '1.1.0', ips: [{ address: '10.254.0.2/24' }] };
  const eth0 = { cniVersion: '1.1.0', ips: [{ address: '10.254.0.3/24' }] };
  const calls = callsOf(portmap, container, net1);
  // It names its chain as ours of eth0.
  await calls.ok('ADD', web);
  await calls.ok('CHECK', web, { ifname: 'net1' });
  await calls.ok('DEL', web, { ifname: 'net1', prevResult: eth0 });
  expect(chains(host)).toContain(chain);
  await calls.ok('DEL', {}, { ifname: 'net1', prevResult: net1 });
  expect(chains(host)).toEqual([]);
});

test('GC takes what eth0 had also where the interface that stays has no ports', async ({
  host,
  container,
}) => {
  const { ok } = caller(container);
  // The first on a host makes the shared chains by the program, which has no comments for chains.
  await ok('ADD', { backend: 'iptables', ...mappings([8081, 80]) }, { containerId: 'c0' });
  await ok('ADD', web);
  const valid = [
    { containerID: 'c0', ifname: 'eth0' },
    { containerID: 'c1', ifname: 'eth1' },
  ];
  await ok('GC', { ...web, 'cni.dev/valid-attachments': valid });
  expect(redirected(host)).toEqual(['8081']);
});

describe.skipIf(!goPlugins())('beside the Go plugin', () => {
  const theirs = (host: Host, command: string, config: object) =>
    spawnSync(join(goPlugins() ?? '', 'portmap'), {
      encoding: 'utf8',
      input: JSON.stringify({ cniVersion: '1.0.0', name: 'test', type: 'portmap', ...config }),
      env: {
        PATH: process.env.PATH,
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'c1',
        CNI_NETNS: join(host.dir, 'ns'),
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/',
      },
    });

  test('our CHECK is content with its rules, and our DEL removes them', async ({ host, container }) => {
    const prevResult = { ...connect(host, container), cniVersion: '1.0.0' };
    const { stdout, status } = theirs(host, 'ADD', { ...mappings([8080, 80]), prevResult });
    expect(status, stdout).toBe(0);
    const { ok } = caller(container, prevResult);
    await ok('CHECK', web);
    await ok('DEL', web);
    expect([chains(host), chains(host, 6)]).toEqual([[], []]);
  });

  test('its DEL removes our rules, and a port it has is refused', async ({ host, container }) => {
    const prevResult = connect(host, container);
    const { ok, error } = caller(container, prevResult);
    await ok('ADD', web);
    expect(theirs(host, 'DEL', mappings([8080, 80])).status).toBe(0);
    expect(chains(host)).not.toContain(chain);
    theirs(host, 'ADD', { ...mappings([8080, 80]), prevResult: { ...prevResult, cniVersion: '1.0.0' } });
    for (const backend of ['iptables', 'nftables']) {
      expect(await error('ADD', { ...web, backend }, { containerId: 'c2' })).toBe(
        `host port tcp *:8080 is held by container c1 (net: test, chain ${chain})`,
      );
    }
  });
});
