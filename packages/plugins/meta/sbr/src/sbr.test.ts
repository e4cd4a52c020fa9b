import { existsSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { macvlan } from '@cni-ts/macvlan/macvlan';
import { type Command, call, pluginFolder, succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { type Container, test } from '@cni-ts/testing/namespaces';
import { describe, expect, vi } from 'vitest';
import { sbr } from './sbr.ts';

/** Another link with the default route, and net1 with an address and a route of its own. */
function makeLinks(container: Container, name = 'net1'): void {
  container.sh(`
    ip link add eth0 type veth peer name far0; ip link set far0 up; ip link set eth0 up
    ip address add 10.0.0.2/24 dev eth0; ip route add default via 10.0.0.1
    ip link add ${name} type veth peer name far1; ip link set far1 up; ip link set ${name} up
    ip address add 192.168.1.209/24 dev ${name}; ip route add 192.168.2.0/24 via 192.168.1.2`);
}

const v4 = { address: '192.168.1.209/24', gateway: '192.168.1.1', interface: 0 };
const v6 = { address: 'fd00::10/64', gateway: 'fd00::1', interface: 0 };

function resultOf(container: Container, ips: object[] = [v4], name = 'net1') {
  const mac = JSON.parse(container.sh(`ip -j link show ${name}`))[0].address;
  return { cniVersion: '1.1.0', interfaces: [{ name, mac, sandbox: container.path }], ips };
}

/** Which routing a packet gets: what CHECK, DEL and an operator look at. */
const rules = (at: Container, family = 4) =>
  at
    .sh(`ip -${family} rule`)
    .split('\n')
    .filter((line) => line.includes('from ') && !line.includes('from all'))
    .map((line) => line.replace(/\s+/g, ' ').trim());
const routes = (at: Container, table: number | string, family = 4) =>
  at
    .sh(`ip -${family} route show table ${table} 2>/dev/null || true`)
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

function trial(container: Container, own: object = {}, ips: object[] = [v4]) {
  makeLinks(container);
  if (ips.includes(v6)) container.sh('ip address add fd00::10/64 dev net1 nodad');
  const prevResult = resultOf(container, ips);
  const given = (more: object) => ({
    config: { cniVersion: '1.1.0', name: 'net', type: 'sbr', ...own },
    container,
    ifname: 'net1',
    prevResult,
    ...more,
  });
  return {
    prevResult,
    ok: (command: Command, more: object = {}) => succeed(sbr, command, given(more)),
    failure: async (command: Command, more: object = {}) =>
      (await call(sbr, command, given(more))).error?.msg ?? 'no error',
  };
}

conformance(sbr, [
  {
    title: 'sbr',
    ifname: 'net1',
    config: () => ({}),
    before(_, container) {
      makeLinks(container);
      container.sh('ip address add fd00::10/64 dev net1 nodad');
      return resultOf(container, [v4, v6]);
    },
    leavesInContainer: { members: ['routes'], because: 'routes go with the link' },
    tamperings: {
      'the rule is gone': {
        by: (_, c) => c.sh('ip rule del from 192.168.1.209'),
        says: /^no rule from 192\.168\.1\.209 leads to a table of its own/,
      },
      'the default route is gone': {
        by: (_, c) => c.sh('ip route del default table 100'),
        says: /^table 100 has no default route via 192\.168\.1\.1 dev net1/,
      },
    },
  },
  {
    title: 'sbr with a table of its own and hints',
    ifname: 'net1',
    config: () => ({ addSourceHints: true, gateways: ['192.168.1.254'], priority: 700 }),
    before(_, container) {
      makeLinks(container);
      return resultOf(container);
    },
    leavesInContainer: { members: ['routes'], because: 'routes go with the link' },
  },
  {
    title: 'sbr with a fixed table',
    ifname: 'net1',
    config: () => ({ table: 5000 }),
    before(_, container) {
      makeLinks(container);
      return resultOf(container);
    },
    tamperings: {
      'the rule is gone': {
        by: (_, c) => c.sh('ip rule del from 192.168.1.209'),
        says: /^rule from 192\.168\.1\.209 lookup 5000 is missing/,
      },
    },
  },
]);

describe('an address gets a table', () => {
  test('with a default route and the routes of the link, which leave table main (sbr 1)', async ({
    container,
  }) => {
    const { ok, prevResult } = trial(container);
    const local = routes(container, 'local');
    const { result } = await ok('ADD');
    expect(result).toMatchObject({ interfaces: prevResult.interfaces, ips: prevResult.ips });
    expect(rules(container)).toEqual(['32765: from 192.168.1.209 lookup 100']);
    expect(routes(container, 100)).toEqual([
      'default via 192.168.1.1 dev net1',
      '192.168.1.0/24 dev net1 proto kernel scope link src 192.168.1.209',
      '192.168.2.0/24 via 192.168.1.2 dev net1',
    ]);
    expect(routes(container, 100, 6).join()).toMatch(/fe80::\/64 dev net1/);
    expect(routes(container, 'main').join()).not.toContain('net1');
    expect(routes(container, 'main')).toContain('default via 10.0.0.1 dev eth0');
    expect(routes(container, 'local')).toEqual(local);
  });

  test('that has one default route where the link has one of its own (sbr 2)', async ({ container }) => {
    const { ok } = trial(container);
    container.sh('ip route add default via 192.168.1.1 dev net1 metric 50');
    await ok('ADD');
    const defaults = routes(container, 100).filter((line) => line.startsWith('default'));
    expect(defaults).toEqual(['default via 192.168.1.1 dev net1 metric 50']);
    expect(routes(container, 'main').filter((line) => line.startsWith('default'))).toEqual([
      'default via 10.0.0.1 dev eth0',
    ]);
  });

  test('and a second address another, with its own routes; the later rule is asked first (sbr 3)', async ({
    container,
  }) => {
    const second = { address: '192.168.101.209/24', gateway: '192.168.101.1', interface: 1 };
    const { ok } = trial(container, {}, [v4, second]);
    container.sh('ip address add 192.168.101.209/24 dev net1');
    await ok('ADD');
    expect(rules(container)).toEqual([
      '32764: from 192.168.101.209 lookup 101',
      '32765: from 192.168.1.209 lookup 100',
    ]);
    expect(routes(container, 101)).toEqual([
      'default via 192.168.101.1 dev net1',
      '192.168.101.0/24 dev net1 proto kernel scope link src 192.168.101.209',
    ]);
    expect(routes(container, 100).join()).not.toContain('192.168.101');
    for (const table of [100, 101]) expect(routes(container, table, 6).join()).toContain('fe80::/64');
  });

  test('without a default route where nobody knows a gateway, which is said (sbr 4, trap 1)', async ({
    container,
  }) => {
    const { ok } = trial(container, {}, [{ address: '192.168.1.209/24', interface: 0 }]);
    const { stderr } = await ok('ADD');
    expect(routes(container, 100).join()).not.toContain('default');
    expect(routes(container, 100)).toHaveLength(2);
    expect(stderr).toMatch(/192\.168\.1\.209.*gateways.*IPAM/);
  });

  test.for([
    { ...v4, gateway: '0.0.0.0' },
    { ...v6, gateway: '::' },
  ])('without a default route where the gateway is $gateway, which is none', async (ip, { container }) => {
    container.sh('ip route del default dev net1; ip -6 route del default dev net1 || true');
    const { ok } = trial(container, {}, [ip]);
    const { stderr } = await ok('ADD');
    expect(stderr).toContain('nothing names a gateway for');
    await ok('CHECK');
    expect(container.sh('ip route show table 100; ip -6 route show table 100')).not.toContain('default');
  });

  test('with the default route that IPAM gave without a gateway of the address (trap 1)', async ({
    container,
  }) => {
    const { ok, prevResult } = trial(container, {}, [{ address: '192.168.1.209/24', interface: 0 }]);
    const given = { ...prevResult, routes: [{ dst: '0.0.0.0/0', gw: '192.168.1.77' }] };
    await ok('ADD', { prevResult: given });
    expect(routes(container, 100)[0]).toBe('default via 192.168.1.77 dev net1');
  });

  test('of either family, numbered one after the other (sbr 5, trap 4)', async ({ container }) => {
    const { ok } = trial(container, {}, [v4, v6]);
    await ok('ADD');
    expect(rules(container, 6)).toEqual(['32765: from fd00::10 lookup 101']);
    expect(routes(container, 101, 6)).toContainEqual(expect.stringMatching(/^default via fd00::1 dev net1/));
    for (const table of [100, 101])
      expect(routes(container, table, 6)).toContainEqual(expect.stringMatching(/^fd00::\/64 dev net1/));
    expect(routes(container, 'main', 6).join()).not.toContain('net1');
  });

  test('and two IPv6 networks on one link do not mix (trap 9)', async ({ container }) => {
    const ips = [
      { address: 'fd74:1::71/64', gateway: 'fd74:1::1' },
      { address: 'fd74:2::70/64', gateway: 'fd74:2::1' },
    ];
    const { ok } = trial(container, {}, ips);
    for (const { address } of ips) container.sh(`ip address add ${address} dev net1 nodad`);
    await ok('ADD');
    for (const [table, own, other] of [
      [100, 'fd74:1::', 'fd74:2::'],
      [101, 'fd74:2::', 'fd74:1::'],
    ] as const) {
      const listed = routes(container, table, 6);
      expect(listed).toContainEqual(expect.stringMatching(new RegExp(`^default via ${own}1 dev net1`)));
      expect(listed).toContainEqual(expect.stringMatching(new RegExp(`^${own}/64 dev net1`)));
      expect(listed.join()).not.toContain(other);
    }
  });

  test('and two addresses of one network both have its route (trap 9)', async ({ container }) => {
    const { ok } = trial(container, {}, [v4, { ...v4, address: '192.168.1.210/24' }]);
    container.sh('ip address add 192.168.1.210/24 dev net1');
    await ok('ADD');
    expect(rules(container)).toHaveLength(2);
    for (const table of [100, 101]) {
      expect(routes(container, table)[0]).toBe('default via 192.168.1.1 dev net1');
      expect(routes(container, table).join()).toContain('192.168.1.0/24 dev net1');
    }
  });
});

describe('the number of a table', () => {
  test('is one that no rule leads to and no route is in (sbr 6, trap 8)', async ({ container }) => {
    const { ok } = trial(container);
    container.sh('ip rule add from 1.2.3.4 table 100; ip route add 9.9.9.0/24 dev eth0 table 101');
    await ok('ADD');
    expect(rules(container).find((line) => line.includes('192.168.1.209'))).toContain('lookup 102');
  });

  test('can be given: two rules, and no route is touched (sbr 7)', async ({ container }) => {
    const second = { address: '192.168.101.209/24', interface: 0 };
    const { ok } = trial(container, { table: 5000 }, [v4, second]);
    const before = container.sh('ip route show table all; ip -6 route show table all');
    await ok('ADD');
    expect(rules(container)).toEqual([
      '32764: from 192.168.101.209 lookup 5000',
      '32765: from 192.168.1.209 lookup 5000',
    ]);
    expect(container.sh('ip route show table all; ip -6 route show table all')).toBe(before);
  });

  test('given, gateways are not looked at (sbr 8)', async ({ container }) => {
    const { ok } = trial(container, { table: 5000, gateways: ['nonsense'] });
    await ok('ADD');
  });

  test('given twice adds one rule, and DEL removes every copy (trap 7)', async ({ container }) => {
    const { ok } = trial(container, { table: 5000 });
    await ok('ADD');
    await ok('ADD');
    expect(rules(container)).toHaveLength(1);
    container.sh('for p in 300 301; do ip rule add from 192.168.1.209 table 5000 priority $p; done');
    await ok('DEL');
    expect(rules(container)).toEqual([]);
  });

  test.for([-1, 4294967296, '5'])('%s is refused (trap 18)', async (table, { container }) => {
    const { failure } = trial(container, { table });
    expect(await failure('ADD')).toMatch(/^failed to parse network configuration: .*table/);
    expect(rules(container)).toEqual([]);
  });

  test('0 is left to the kernel, which is said (trap 18)', async ({ container }) => {
    const { ok } = trial(container, { table: 0 });
    const { stderr } = await ok('ADD');
    expect(rules(container)).toHaveLength(1);
    expect(stderr).toContain('table is 0');
    await ok('DEL');
    expect(rules(container)).toEqual([]);
  });

  test('may have 32 bits (trap 18)', async ({ container }) => {
    const { ok } = trial(container, { table: 4294967295 });
    await ok('ADD');
    expect(rules(container)).toEqual(['32765: from 192.168.1.209 lookup 4294967295']);
    await ok('DEL');
    expect(rules(container)).toEqual([]);
  });

  test('and the priority of its rule, too (trap 17)', async ({ container }) => {
    const { ok } = trial(container, { priority: 500 });
    await ok('ADD');
    expect(rules(container)).toEqual(['500: from 192.168.1.209 lookup 100']);
  });
});

describe('what cannot be', () => {
  test.for(['1.1.0', '0.2.0'])('no prevResult in version %s (sbr 9)', async (cniVersion, { container }) => {
    const { failure } = trial(container, { cniVersion });
    expect(await failure('ADD', { prevResult: undefined })).toBe(
      'This plugin must be called as chained plugin',
    );
  });

  test('no addresses at all (sbr 10)', async ({ container }) => {
    const { failure, prevResult } = trial(container);
    expect(await failure('ADD', { prevResult: { ...prevResult, ips: [] } })).toBe(
      'No IP addresses supplied on interface: net1',
    );
  });

  test('addresses of other interfaces alone: nothing is done, and that is said (sbr 11, trap 11)', async ({
    container,
  }) => {
    const { ok, prevResult } = trial(container);
    const before = container.sh('ip route; ip rule');
    const elsewhere = { ...prevResult, interfaces: [{ ...prevResult.interfaces[0], name: 'eth0' }] };
    const { stderr } = await ok('ADD', { prevResult: elsewhere });
    expect(container.sh('ip route; ip rule')).toBe(before);
    expect(stderr).toContain("no address of the result is net1's");
  });

  test('no such link: ADD fails, DEL does not (sbr 12)', async ({ container }) => {
    const { ok, failure } = trial(container);
    const ips = [{ address: '192.168.1.209/24' }];
    const prevResult = { cniVersion: '1.1.0', ips };
    expect(await failure('ADD', { ifname: 'net9', prevResult })).toBe(
      'Cannot find network interface net9: Link not found',
    );
    expect(rules(container)).toEqual([]);
    await ok('DEL', { ifname: 'net9', prevResult });
  });

  test.for([
    [['192.168.1.1', '192.168.1.254'], 'multiple IPv4 addresses: 192.168.1.1 and 192.168.1.254'],
    [['fd00::1', 'fd00::2'], 'multiple IPv6 addresses: fd00::1 and fd00::2'],
    [['1.1.1.1', 'fd00::1', '2.2.2.2'], 'cannot contain more than 2 entries'],
    [['10.0.0.1/24'], 'invalid static gateway IP address: 10.0.0.1/24'],
    [['0.0.0.0'], 'invalid static gateway IP address: 0.0.0.0: it stands for no address'],
    [['::'], 'invalid static gateway IP address: ::: it stands for no address'],
  ] as const)('gateways %j (sbr 16)', async ([gateways, text], { container }) => {
    const { failure } = trial(container, { gateways });
    const before = container.sh('ip route show table all; ip rule');
    expect(await failure('ADD')).toContain(text);
    expect(container.sh('ip route show table all; ip rule')).toBe(before);
  });

  test('a gateway that is on no link: nothing stays (sbr 17, trap 19)', async ({ container }) => {
    const { failure } = trial(container, { gateways: ['172.16.0.1'] });
    const before = container.sh('ip route show table all; ip rule');
    expect((await failure('ADD')).toLowerCase()).toMatch(
      /^failed to add default route to 172\.16\.0\.1: .*(unreachable|invalid gateway)/,
    );
    expect(container.sh('ip route show table all; ip rule')).toBe(before);
  });
});

describe('gateways of the configuration', () => {
  test('come before those of the result, and before a default route of the link (sbr 13)', async ({
    container,
  }) => {
    const { ok } = trial(container, { gateways: ['192.168.1.254'] });
    container.sh('ip route add default via 192.168.1.1 dev net1 metric 50');
    await ok('ADD');
    expect(routes(container, 100).filter((line) => line.startsWith('default'))).toEqual([
      'default via 192.168.1.254 dev net1',
    ]);
  });

  test('count for their own family (sbr 14)', async ({ container }) => {
    const { ok } = trial(container, { gateways: ['fd00::99'] }, [v4, v6]);
    await ok('ADD');
    expect(routes(container, 100)[0]).toBe('default via 192.168.1.1 dev net1');
    expect(routes(container, 101, 6)).toContainEqual(expect.stringMatching(/^default via fd00::99 dev net1/));
  });

  test('may be one of each family (sbr 15)', async ({ container }) => {
    const { ok } = trial(container, { gateways: ['192.168.1.254', 'fd00::99'] }, [v4, v6]);
    await ok('ADD');
    expect(routes(container, 100)[0]).toBe('default via 192.168.1.254 dev net1');
    expect(routes(container, 101, 6)).toContainEqual(expect.stringMatching(/^default via fd00::99 dev net1/));
  });
});

describe('addSourceHints', () => {
  test('keeps the way to the network in table main (sbr 18, trap 10)', async ({ container }) => {
    const { ok } = trial(container, { addSourceHints: true });
    await ok('ADD');
    expect(routes(container, 100)).toHaveLength(3);
    expect(routes(container, 'main').filter((line) => line.includes('net1'))).toEqual([
      '192.168.1.0/24 dev net1 scope link src 192.168.1.209',
    ]);
    // No source given: the kernel finds the way and the source by itself.
    expect(container.sh('ip route get 192.168.1.7')).toContain('dev net1 src 192.168.1.209');
  });

  test('of IPv6, too (sbr 19)', async ({ container }) => {
    const { ok } = trial(container, { addSourceHints: true }, [v6]);
    await ok('ADD');
    const main = routes(container, 'main', 6).filter((line) => line.includes('net1'));
    expect(main).toEqual([expect.stringMatching(/^fd00::\/64 dev net1 src fd00::10/)]);
  });

  test('leaves the way by a gateway to a network that is not on the link, as with ptp', async ({
    container,
  }) => {
    const { ok } = trial(container, { addSourceHints: true }, [v4, v6]);
    const ways = [
      '192.168.1.0/24 via 192.168.1.1 dev net1 src 192.168.1.209',
      '192.168.1.1 dev net1 scope link src 192.168.1.209',
    ];
    const ways6 = ['fd00::1 dev net1 src fd00::10', 'fd00::/64 via fd00::1 dev net1 src fd00::10'];
    container.sh(`ip route del 192.168.2.0/24; ip route del 192.168.1.0/24; ip -6 route del fd00::/64 dev net1
      ip route add ${ways[1]}; ip route add ${ways[0]}
      ip -6 route add ${ways6[0]}; ip -6 route add ${ways6[1]}`);
    await ok('ADD');
    const main = (family: number) =>
      routes(container, 'main', family)
        .filter((line) => line.includes('net1'))
        .map((line) => line.replace(/ metric.*/, ''));
    expect(main(4)).toEqual(ways);
    expect(main(6)).toEqual(ways6);
  });
});

describe('DEL', () => {
  test('removes the rules and leaves the routes to the link; and again (sbr 20)', async ({ container }) => {
    const { ok } = trial(container);
    await ok('ADD');
    const [main, own] = [routes(container, 'main'), routes(container, 100)];
    await ok('DEL', { prevResult: undefined });
    expect(rules(container)).toEqual([]);
    expect([routes(container, 'main'), routes(container, 100)]).toEqual([main, own]);
    await ok('DEL', { prevResult: undefined });
  });

  test('of an address that is gone knows the rule by prevResult alone (sbr 21, trap 5)', async ({
    container,
  }) => {
    const { ok } = trial(container);
    await ok('ADD');
    container.sh('ip link del net1');
    await ok('DEL', { prevResult: undefined });
    expect(rules(container)).toHaveLength(1);
    await ok('DEL');
    expect(rules(container)).toEqual([]);
  });

  test('with a table is about the rules of that table (sbr 22)', async ({ container }) => {
    const { ok } = trial(container, { table: 5000 });
    await ok('ADD');
    container.sh('ip rule add from 192.168.1.209 table 7');
    const config = (own: object) => ({ config: { cniVersion: '1.1.0', name: 'net', type: 'sbr', ...own } });
    await ok('DEL', config({ table: 5001 }));
    expect(rules(container)).toHaveLength(2);
    await ok('DEL', config({ table: 5000 }));
    expect(rules(container)).toEqual([expect.stringContaining('lookup 7')]);
    await ok('DEL', config({}));
    expect(rules(container)).toEqual([]);
  });

  test('without a namespace succeeds (sbr 23, trap 6)', async ({ container }) => {
    const { ok } = trial(container);
    await ok('DEL', { container: undefined, netns: '' });
  });

  test('with a path that leads nowhere succeeds and makes no file (sbr 24, trap 6)', async ({
    host,
    container,
  }) => {
    const { ok, failure } = trial(container);
    const netns = `${host.dir}/nowhere`;
    await ok('DEL', { container: undefined, netns });
    expect(await failure('ADD', { container: undefined, netns })).toContain('nowhere');
    expect(existsSync(netns)).toBe(false);
  });
});

describe('an ADD', () => {
  test('at the same time as another in the namespace takes another table (sbr 25)', async ({ container }) => {
    const { ok } = trial(container);
    container.sh(`ip link add net2 type veth peer name far2; ip link set far2 up; ip link set net2 up
      ip address add 192.168.9.9/24 dev net2`);
    const other = {
      ifname: 'net2',
      prevResult: {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'net2' }],
        ips: [{ address: '192.168.9.9/24', interface: 0 }],
      },
    };
    await Promise.all([ok('ADD'), ok('ADD', other)]);
    const tables = rules(container).map((line) => line.split('lookup ')[1]);
    expect(tables.sort()).toEqual(['100', '101']);
  });

  test('twice changes nothing (sbr 27)', async ({ container }) => {
    const { ok } = trial(container, {}, [v4, v6]);
    await ok('ADD');
    const before = container.sh('ip route show table all; ip -6 route show table all; ip rule; ip -6 rule');
    await ok('ADD');
    expect(container.sh('ip route show table all; ip -6 route show table all; ip rule; ip -6 rule')).toBe(
      before,
    );
  });

  test('takes its way out of a default route that several links share (trap 2)', async ({ container }) => {
    const { ok } = trial(container, {}, [v4, v6]);
    container.sh(`ip address add fd01::2/64 dev eth0 nodad
      ip -6 route add default via fd01::1 dev eth0; ip -6 route append default via fd00::1 dev net1
      ip route replace default nexthop via 10.0.0.1 dev eth0 nexthop via 192.168.1.1 dev net1`);
    await ok('ADD');
    for (const [family, via, own] of [
      [4, '10.0.0.1', '192.168.1.1'],
      [6, 'fd01::1', 'fd00::1'],
    ] as const) {
      const main = routes(container, 'main', family).join('\n');
      expect(main).toMatch(new RegExp(`^default via ${via} dev eth0`, 'm'));
      expect(main).not.toContain('net1');
      const table = family === 4 ? 100 : 101;
      expect(routes(container, table, family).filter((line) => line.startsWith('default'))).toEqual([
        expect.stringContaining(`default via ${own} dev net1`),
      ]);
    }
  });

  test('that fails puts a route of several ways back (traps 2, 19)', async ({ container }) => {
    const { failure } = trial(container, { gateways: ['172.16.0.1'] });
    container.sh('ip route replace default nexthop via 10.0.0.1 dev eth0 nexthop via 192.168.1.1 dev net1');
    const before = container.sh('ip route');
    expect(await failure('ADD')).toContain('172.16.0.1');
    expect(container.sh('ip route')).toBe(before);
  });

  test('works on a link without carrier (trap 12)', async ({ container }) => {
    const { ok } = trial(container);
    container.sh('ip link set far1 down');
    await vi.waitFor(() => expect(container.sh('ip route')).toContain('linkdown'));
    await ok('ADD');
    expect(routes(container, 100)).toHaveLength(3);
  });

  test('keeps the end of a route that a router advertised (trap 13)', async ({ container }) => {
    const { ok } = trial(container, {}, [{ address: 'fd00::10/64', interface: 0 }]);
    container.sh('ip address add fd00::10/64 dev net1 nodad');
    container.sh('ip -6 route add default via fe80::1 dev net1 proto ra expires 30');
    await ok('ADD');
    expect(routes(container, 100, 6).find((line) => line.startsWith('default'))).toMatch(
      /via fe80::1 dev net1 proto ra.* expires [23]\dsec/,
    );
  });
});

describe('CHECK', () => {
  test('finds nothing where the result and the interface say nothing (sbr 26)', async ({ container }) => {
    const { ok, prevResult } = trial(container);
    await ok('CHECK', { ifname: 'nonsense' });
    await ok('CHECK', { prevResult: { ...prevResult, ips: [] } });
  });

  test('of the plugin before passes when its routes have moved; sbr tells its own rule (trap 3)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add m0 type veth peer name far; ip link set m0 up; ip link set far up');
    const ipam = {
      type: 'host-local',
      dataDir: `${host.dir}/networks`,
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:5::/64' }]],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24' }],
    };
    const base = { cniVersion: '1.1.0', name: 'net' };
    const first = {
      config: { ...base, type: 'macvlan', master: 'm0', ipam },
      container,
      path: pluginFolder(host, 'host-local'),
      plugins: [hostLocal],
    };
    const { result } = await succeed(macvlan, 'ADD', first);
    const known = { prevResult: result as object };
    const second = { config: { ...base, type: 'sbr' }, container, ...known };
    await succeed(sbr, 'ADD', second);
    expect(routes(container, 'main').join()).not.toContain('eth0');
    await succeed(macvlan, 'CHECK', { ...first, ...known });
    await succeed(sbr, 'CHECK', second);
    container.sh('ip rule del from 10.1.2.2');
    expect((await call(sbr, 'CHECK', second)).error?.msg).toContain('no rule from 10.1.2.2');
    expect((await call(macvlan, 'CHECK', { ...first, ...known })).error?.msg).toMatch(/Gateway|Route/);
  });
});
