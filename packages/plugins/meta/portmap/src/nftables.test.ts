import type { Container, Host } from '@cni-ts/testing/namespaces';
import { test } from '@cni-ts/testing/namespaces';
import { callsOf, connect, mappings, resultOf, type Short } from '@cni-ts/testing/published-ports';
import { describe, expect } from 'vitest';
import { nftChains, ownerTag } from './owner.ts';
import { portmap } from './portmap.ts';

const caller = (...of: [Container, (object | null)?]) => callsOf(portmap, ...of);

const web = { backend: 'nftables', ...mappings([8080, 80]) };
const chains = nftChains('c1');

/** The rules of one chain without comments, in nft's words; undefined if it is not there. */
function rules(host: Host, chain: string, family: 'ip' | 'ip6' = 'ip'): string[] | undefined {
  if (!host.succeeds(`nft list chain ${family} cni_hostport ${chain}`)) return undefined;
  const lines = host.sh(`nft list chain ${family} cni_hostport ${chain}`).split('\n').slice(2, -3);
  return lines
    .map((line) => line.replace(/ comment .*/, '').trim())
    .filter((line) => !/^(type|comment)/.test(line));
}
const tables = (host: Host) => host.sh('nft list tables').trim().split('\n').filter(Boolean);

const several: Short[] = [
  [8080, 80],
  [8081, 81],
  [8083, 83, 'tcp', '192.168.0.2'],
  [8084, 84, 'tcp', '0.0.0.0'],
  [8085, 85, 'tcp', '2001:db8:a::1'],
  [8086, 86, 'tcp', '::'],
  [8080, 80, 'udp'],
];

test("a map leads each port to its container's rules, a table per family (portmap 22)", async ({
  host,
  container,
}) => {
  const { ok } = caller(container, connect(host, container));
  await ok('ADD', { backend: 'nftables', ...mappings(...several) });
  expect(tables(host)).toEqual(['table ip cni_hostport', 'table ip6 cni_hostport']);
  expect(rules(host, chains.dnat)).toEqual([
    'tcp dport 8080 dnat to 10.254.0.2:80',
    'tcp dport 8081 dnat to 10.254.0.2:81',
    'ip daddr 192.168.0.2 tcp dport 8083 dnat to 10.254.0.2:83',
    'tcp dport 8084 dnat to 10.254.0.2:84',
    'udp dport 8080 dnat to 10.254.0.2:80',
  ]);
  expect(rules(host, chains.dnat, 'ip6')).toEqual([
    'tcp dport 8080 dnat to [2001:db8::2]:80',
    'tcp dport 8081 dnat to [2001:db8::2]:81',
    'ip6 daddr 2001:db8:a::1 tcp dport 8085 dnat to [2001:db8::2]:85',
    'tcp dport 8086 dnat to [2001:db8::2]:86',
    'udp dport 8080 dnat to [2001:db8::2]:80',
  ]);
  expect(rules(host, chains.masquerade)?.slice(0, 2)).toEqual([
    'meta l4proto tcp ct original proto-dst 8080 ip saddr 10.254.0.0/24 ip daddr 10.254.0.2 masquerade',
    'meta l4proto tcp ct original proto-dst 8080 ip saddr 127.0.0.0/8 ip daddr 10.254.0.2 masquerade',
  ]);
  const v6 = 'ip6 saddr 2001:db8::/64 ip6 daddr 2001:db8::2 masquerade';
  expect(rules(host, chains.masquerade, 'ip6')).toEqual([
    `meta l4proto tcp ct original proto-dst 8080 ${v6}`,
    `meta l4proto tcp ct original proto-dst 8081 ${v6}`,
    `meta l4proto tcp ct original proto-dst 8085 ct original ip6 daddr 2001:db8:a::1 ${v6}`,
    `meta l4proto tcp ct original proto-dst 8086 ${v6}`,
    `meta l4proto udp ct original proto-dst 8080 ${v6}`,
  ]);
  for (const hook of ['prerouting', 'output']) {
    expect(rules(host, hook)).toEqual(['fib daddr type local jump hostports_all']);
  }
  const listed = host.sh('nft list table ip cni_hostport');
  expect(listed).toContain('comment "CNI portmap plugin"');
  expect(listed).toMatch(/comment "[0-9a-f]{16}-[0-9a-f]{16}, net: test, if: eth0"/);
  expect(listed).toContain('comment "c1"');
});

test('what nft lists it can load again, and CHECK is content with that', async ({ host, container }) => {
  const { ok } = caller(container, connect(host, container));
  const own = { backend: 'nftables', ...mappings(...several) };
  await ok('ADD', own);
  host.sh(
    `set -e; nft list ruleset >${host.dir}/saved; nft flush ruleset; nft -f ${host.dir}/saved; rm ${host.dir}/saved`,
  );
  await ok('CHECK', own);
  await ok('DEL', own);
  expect(tables(host)).toEqual([]);
});

test('masqAll masquerades every source (portmap 23)', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', { ...web, masqAll: true });
  expect(rules(host, chains.masquerade)).toEqual([
    'meta l4proto tcp ct original proto-dst 8080 ip daddr 10.254.0.2 masquerade',
  ]);
  expect(rules(host, chains.masquerade, 'ip6')).toEqual([
    'meta l4proto tcp ct original proto-dst 8080 ip6 daddr 2001:db8::2 masquerade',
  ]);
  await ok('CHECK', { ...web, masqAll: true });
});

test('CHECK misses masquerading that ADD was not asked for, and finds too much of it (portmap 24)', async ({
  host,
  container,
}) => {
  const { ok, error } = caller(container);
  await ok('ADD', { ...web, snat: false });
  expect(rules(host, 'masquerading')).toBeUndefined();
  await ok('CHECK', { ...web, snat: false });
  expect(await error('CHECK', web)).toMatch(/^missing hostport rules in "masquerading" chain/);
  await ok('ADD', web);
  await ok('CHECK', web);
});

test('conditions are those of one container (portmap 25)', async ({ host, container }) => {
  const { ok } = caller(container);
  const limited = { ...web, conditionsV4: ['ip', 'saddr', '!=', '192.168.7.0/24', 'iifname', '"eth*"'] };
  await ok('ADD', limited);
  const second = { containerId: 'c2', prevResult: resultOf(container, ['10.254.0.3/24']) };
  await ok('ADD', { backend: 'nftables', ...mappings([8081, 80]) }, second);
  await ok('CHECK', limited);
  expect(rules(host, chains.dnat)).toEqual([
    'tcp dport 8080 ip saddr != 192.168.7.0/24 iifname "eth*" dnat to 10.254.0.2:80',
  ]);
  expect(rules(host, nftChains('c2').dnat)).toEqual(['tcp dport 8081 dnat to 10.254.0.3:80']);
  expect(rules(host, 'prerouting')).toEqual(['fib daddr type local jump hostports_all']);
});

test('a second ADD duplicates nothing, the last DEL takes the table along, and one without a table is fine (portmap 26)', async ({
  host,
  container,
}) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  const before = host.sh('nft -j list ruleset').replace(/"(handle|index)": \d+/g, '');
  await ok('ADD', web);
  expect(host.sh('nft -j list ruleset').replace(/"(handle|index)": \d+/g, '')).toBe(before);
  await ok('DEL', web);
  expect(tables(host)).toEqual([]);
  await ok('DEL', web);
});

test('a second ADD with other ports replaces the first', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', { backend: 'nftables', ...mappings([8080, 80], [8081, 80]) });
  const second = { backend: 'nftables', ...mappings([8081, 81], [8082, 82]) };
  await ok('ADD', second);
  expect(rules(host, chains.dnat)).toEqual([
    'tcp dport 8081 dnat to 10.254.0.2:81',
    'tcp dport 8082 dnat to 10.254.0.2:82',
  ]);
  await ok('CHECK', second);
  await ok('ADD', web, { containerId: 'c2' });
});

test("DEL of one network leaves the mappings of the container's other one (portmap 27)", async ({
  host,
  container,
}) => {
  const { ok } = caller(container);
  const other = { config: { cniVersion: '1.1.0', name: 'other', type: 'portmap', ...web } };
  const there = resultOf(container, ['10.253.0.2/24']);
  await ok('ADD', web);
  await ok('ADD', web, { ...other, prevResult: there });
  expect(rules(host, chains.dnat)).toEqual([
    'tcp dport 8080 dnat to 10.254.0.2:80',
    'tcp dport 8080 dnat to 10.253.0.2:80',
  ]);
  await ok('DEL', web);
  await ok('CHECK', web, { ...other, prevResult: there });
  expect(rules(host, chains.dnat)).toEqual(['tcp dport 8080 dnat to 10.253.0.2:80']);
  await ok('DEL', web, { ...other, prevResult: undefined });
  expect(tables(host)).toEqual([]);
});

describe('rules of other versions', () => {
  const theirs = (host: Host, more = '') =>
    host.sh(`nft -f - <<'END'
table ip cni_hostport {
  comment "CNI portmap plugin"
  chain hostports { tcp dport 9090 dnat to 10.254.0.9:80 comment "c9"; }
  chain hostip_hostports { tcp dport 8080 dnat to 10.254.0.2:80 comment "c1"; ${more} }
  chain hostports_all { jump hostip_hostports; jump hostports; }
  chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump hostports_all; }
  chain output { type nat hook output priority -100; fib daddr type local jump hostports_all; }
  chain masquerading { type nat hook postrouting priority 100; ip saddr 10.254.0.9 ip daddr 10.254.0.9 masquerade comment "c9"; }
}
END`);

  test("are removed by DEL of their container, others' stay (portmap 33)", async ({ host, container }) => {
    theirs(host);
    const { ok } = caller(container, null);
    await ok('DEL', web);
    expect(rules(host, 'hostip_hostports')).toEqual([]);
    expect(rules(host, 'hostports')).toHaveLength(1);
    await ok('DEL', web, { containerId: 'c9' });
    expect(rules(host, 'hostports')).toEqual([]);
    expect(rules(host, 'masquerading')).toEqual([]);
  });

  const made = (...hostports: string[]) => `nft -f - <<'END'
table ip cni_hostport {
  chain hostports {
    ${hostports.join('\n')}
  }
  chain masquerading {
    type nat hook postrouting priority 100
    ip saddr 10.254.0.2 ip daddr 10.254.0.2 masquerade comment "c1"
    ip saddr 127.0.0.1 ip daddr 10.254.0.2 masquerade comment "c1"
  }
}
END`;

  test('satisfy CHECK, unless one is missing', async ({ host, container }) => {
    const two = { backend: 'nftables', ...mappings([8080, 80], [5353, 53, 'udp', '192.168.0.2']) };
    const own = { prevResult: resultOf(container, ['10.254.0.2/24']) };
    const [web, dns] = [
      'tcp dport 8080 dnat to 10.254.0.2:80 comment "c1"',
      'ip daddr 192.168.0.2 udp dport 5353 dnat to 10.254.0.2:53 comment "c1"',
    ];
    const { ok, error } = caller(container);
    host.sh(made(web, dns));
    await ok('CHECK', two, own);
    await ok('DEL', two, own);
    host.sh(made(web));
    expect(await error('CHECK', two, own)).toContain('missing hostport rules in "hostports" chain');
    await ok('CHECK', { backend: 'nftables', ...mappings([8080, 80]) }, own);
    host.sh('nft flush chain ip cni_hostport masquerading');
    expect(await error('CHECK', { backend: 'nftables', ...mappings([8080, 80]) }, own)).toBe(
      'missing hostport rules in "masquerading" chain: 0 of 2 are in chain masquerading of table ip cni_hostport',
    );
  });

  test('go on after the commands for a way back to the reference, ours do not', async ({
    host,
    container,
  }) => {
    const { ok } = caller(container);
    const all = { backend: 'nftables', ...mappings([8080, 80], [8081, 81, 'tcp', '127.0.0.1']) };
    await ok('ADD', all);
    host.sh(made('tcp dport 9090 dnat to 10.254.0.9:80 comment "c9"'));
    // See docs/rollback.md.
    for (const family of ['ip', 'ip6']) {
      for (const map of ['owner_by_port', 'owner_by_address']) {
        host.sh(`nft flush map ${family} cni_hostport ${map}`);
      }
    }
    expect(host.sh('nft list ruleset')).not.toContain('jump dnat-');
    expect(rules(host, 'hostports')).toContain('tcp dport 9090 dnat to 10.254.0.9:80');
    await ok('DEL', all);
    expect(host.sh('nft list ruleset')).not.toMatch(/(dnat|masq)-/);
    expect(rules(host, 'hostports')).toContain('tcp dport 9090 dnat to 10.254.0.9:80');
  });

  test('keep their ports from others, and live beside ours', async ({ host, container }) => {
    theirs(host);
    const { ok, error } = caller(container);
    const add = (port: number) => ({ backend: 'nftables', ...mappings([port, 80]) });
    expect(await error('ADD', add(9090))).toBe(
      'host port tcp *:9090 is held by container c9 (by another version of portmap)',
    );
    expect(await error('ADD', add(8080), { containerId: 'c3' })).toBe(
      'host port tcp *:8080 is held by container c1 (by another version of portmap)',
    );
    await ok('ADD', add(8081));
    await ok('CHECK', add(8081));
    await ok('DEL', add(8081));
    expect(rules(host, 'hostports')).toContain('tcp dport 9090 dnat to 10.254.0.9:80');
  });
});

test('a long container ID is no difficulty (portmap 34)', async ({ host, container }) => {
  const containerId = 'c'.repeat(300);
  const { ok } = caller(container);
  await ok('ADD', web, { containerId });
  await ok('CHECK', web, { containerId });
  expect(host.sh('nft list ruleset')).toContain(`comment "${'c'.repeat(128)}"`);
  await ok('DEL', web, { containerId });
  expect(tables(host)).toEqual([]);
});

test('rules that a stranger put into our table keep it', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  host.sh('nft add rule ip cni_hostport prerouting counter; nft add chain ip6 cni_hostport mine');
  await ok('DEL', web);
  expect(tables(host)).toHaveLength(2);
  expect(rules(host, 'prerouting')).toHaveLength(2);
  expect(rules(host, chains.dnat)).toBeUndefined();
  await ok('ADD', web);
  await ok('CHECK', web);
});

test('what somebody deleted of the table ADD makes again', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  host.sh('nft flush table ip cni_hostport; nft flush chain ip6 cni_hostport output');
  await ok('ADD', { backend: 'nftables', ...mappings([8081, 80]) }, { containerId: 'c2' });
  await ok('CHECK', { backend: 'nftables', ...mappings([8081, 80]) }, { containerId: 'c2' });
  await ok('DEL', web);
  await ok('DEL', web, { containerId: 'c2' });
  expect(tables(host)).toEqual([]);
});

test('a key that was given away by hand is not taken back', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  await ok('ADD', { backend: 'nftables', ...mappings([8081, 80]) }, { containerId: 'c2' });
  const to = nftChains('c2').dnat;
  host.sh(`nft delete element ip cni_hostport owner_by_port '{ tcp . 8080 }'
    nft add element ip cni_hostport owner_by_port '{ tcp . 8080 : jump ${to} }'`);
  await ok('DEL', web);
  expect(host.sh('nft list map ip cni_hostport owner_by_port')).toContain(`tcp . 8080 : jump ${to}`);
});

test('rules deleted by hand do not keep DEL from the rest', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  await ok('ADD', { backend: 'nftables', ...mappings([8081, 80]) }, { containerId: 'c2' });
  host.sh(
    `nft flush chain ip cni_hostport ${chains.dnat}; nft flush chain ip6 cni_hostport ${chains.masquerade}`,
  );
  await ok('DEL', web);
  expect(rules(host, chains.dnat)).toBeUndefined();
  expect(host.sh('nft list ruleset')).not.toContain('8080');
  await ok('CHECK', { backend: 'nftables', ...mappings([8081, 80]) }, { containerId: 'c2' });
});

test('GC removes what is not in the list, of its own network alone', async ({ host, container }) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  const second = { containerId: 'c2', prevResult: resultOf(container, ['10.254.0.3/24']) };
  await ok('ADD', { backend: 'nftables', ...mappings([8081, 80]) }, second);
  await ok('ADD', web, { config: { cniVersion: '1.1.0', name: 'other', type: 'portmap', ...web } });
  const valid = [{ containerID: 'c2', ifname: 'eth0' }];
  await ok('GC', { ...web, 'cni.dev/valid-attachments': valid });
  expect(rules(host, chains.dnat)).toHaveLength(1);
  const gone = ownerTag({ network: 'test', containerId: 'c1', ifname: 'eth0' });
  expect(host.sh('nft list ruleset')).not.toContain(gone);
  await ok('CHECK', { backend: 'nftables', ...mappings([8081, 80]) }, second);
});

test('an address that a container without DEL had is masqueraded for the one that has it now', async ({
  host,
  container,
}) => {
  const { ok } = caller(container);
  await ok('ADD', web);
  const second = { backend: 'nftables', ...mappings([8081, 80]) };
  await ok('ADD', second, { containerId: 'c2' });
  await ok('CHECK', second, { containerId: 'c2' });
  await ok('DEL', web);
  await ok('CHECK', second, { containerId: 'c2' });
  await ok('DEL', second, { containerId: 'c2' });
  expect(tables(host)).toEqual([]);
});
