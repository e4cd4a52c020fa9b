import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { Netlink } from '@cni-ts/netlink/socket';
import { type Container, test } from '@cni-ts/testing/namespaces';
import { describe, expect } from 'vitest';
import { getLink } from './link.ts';
import { addRule, deleteRule, listRules } from './rule.ts';
import { dropRoute, listWholeRoutes, putBackRoute, putRoute, takeRoute } from './whole-route.ts';

function links(container: Container): Netlink {
  for (const [i, name] of ['a0', 'b0'].entries()) {
    container.sh(`ip link add ${name} type veth peer name ${name}far; ip link set ${name}far up; ip link set ${name} up
      ip address add 10.${i}.0.2/24 dev ${name}; ip address add fd0${i}::2/64 dev ${name} nodad`);
  }
  return Netlink.open('route', container.netns);
}

const show = (at: Container, table: string | number) =>
  at.sh(`ip route show table ${table} 2>/dev/null; ip -6 route show table ${table} 2>/dev/null; true`);

describe('a whole route', () => {
  test('goes to another table with all that the kernel tells of it', ({ container }) => {
    const nl = links(container);
    container.sh(`ip route add 192.0.2.0/24 via 10.0.0.1 metric 7 mtu 1300 src 10.0.0.2 initcwnd 12 proto 77
      ip route add 198.51.100.0/24 via 172.16.0.1 dev a0 onlink
      ip -6 route add 2001:db8::/32 via fd00::1 metric 9 pref high mtu 1280
      ip -6 route add default via fe80::1 dev a0 proto ra expires 60`);
    const index = getLink(nl, 'a0').index;
    const chosen = ['192.0.2.0/24', '198.51.100.0/24', '2001:db8::/32', '::/0'];
    const all = [...listWholeRoutes(nl, 4), ...listWholeRoutes(nl, 6)].filter(
      (one) => one.index === index && one.table === 254 && chosen.includes(formatCidr(one.dst)),
    );
    expect(all).toHaveLength(4);
    for (const one of all) putRoute(nl, one, 1000);
    const copied = show(container, 1000);
    expect(copied).toContain(
      '192.0.2.0/24 via 10.0.0.1 dev a0 proto 77 src 10.0.0.2 metric 7 mtu 1300 initcwnd 12',
    );
    expect(copied).toMatch(/198\.51\.100\.0\/24 via 172\.16\.0\.1 dev a0 onlink/);
    expect(copied).toMatch(/2001:db8::\/32 via fd00::1 dev a0 metric 9 mtu 1280 pref high/);
    expect(copied).toMatch(/default via fe80::1 dev a0 proto ra metric 1024 expires [56]\dsec/);
    for (const one of all) expect(dropRoute(nl, one, 1000)).toBe(true);
    for (const one of all) expect(dropRoute(nl, one, 1000)).toBe(false);
    expect(show(container, 1000)).toBe('');
    nl.close();
  });

  test('that is one way of several is taken out, and put back', ({ container }) => {
    const nl = links(container);
    container.sh(`ip route add 192.0.2.0/24 nexthop via 10.0.0.1 dev a0 weight 3 nexthop via 10.1.0.1 dev b0
      ip -6 route add 2001:db8::/32 nexthop via fd00::1 dev a0 nexthop via fd01::1 dev b0`);
    const before = show(container, 'main');
    const { index } = getLink(nl, 'a0');
    const ways = [...listWholeRoutes(nl, 4), ...listWholeRoutes(nl, 6)].filter(
      (one) => one.index === index && one.shared,
    );
    expect(ways).toHaveLength(2);
    for (const one of ways) takeRoute(nl, one);
    const left = show(container, 'main');
    expect(left).toContain('192.0.2.0/24 via 10.1.0.1 dev b0');
    expect(left).toContain('2001:db8::/32 via fd01::1 dev b0');
    for (const one of ways) putBackRoute(nl, one);
    const lines = (text: string) =>
      text
        .split('\n')
        .map((line) => line.trim())
        .sort();
    expect(lines(show(container, 'main'))).toEqual(lines(before));
    nl.close();
  });
});

describe('policy rules', () => {
  test.for([
    ['10.0.0.2/32', 100, undefined],
    ['fd00::2/128', 5000, 42],
    ['10.0.0.0/24', 4294967295, undefined],
  ] as const)(
    'from %s to table %i are added, listed and deleted',
    ([text, table, priority], { container }) => {
      const nl = Netlink.open('route', container.netns);
      const source = parseCidr(text)!;
      addRule(nl, { source, table, priority });
      const found = listRules(nl, source.ip.family).filter((one) => one.source);
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ table, priority: priority ?? 32765 });
      expect(formatCidr(found[0]!.source!)).toBe(text);
      expect(deleteRule(nl, found[0]!)).toBe(true);
      expect(deleteRule(nl, found[0]!)).toBe(false);
      nl.close();
    },
  );

  test('are deleted with all that they ask for, and only so', ({ container }) => {
    container.sh('ip rule add from 10.0.0.2 iif lo fwmark 7 table 9; ip rule add from 10.0.0.2 table 9');
    const nl = Netlink.open('route', container.netns);
    const marked = listRules(nl, 4).find((one) => one.source && one.priority === 32765)!;
    deleteRule(nl, marked);
    const left = container
      .sh('ip rule')
      .split('\n')
      .filter((line) => line.includes('10.0.0.2'));
    expect(left).toEqual([expect.not.stringContaining('fwmark')]);
    nl.close();
  });
});
