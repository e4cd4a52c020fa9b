/** What the rules do to packets: two networks behind bridges, and a machine outside, with the host in between. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Call, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, type Place, test } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import { firewall } from './firewall.ts';

const path = process.env.PATH;
beforeEach(() => {
  process.env.DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus';
});
afterEach(() => {
  process.env.PATH = path;
});

interface Member extends Container {
  readonly v4: string;
  readonly v6: string;
  /** The call that its runtime would make. */
  given(config: object): Call;
}

/** Its addresses are used at once: who else should have them? */
function quickly(place: Place): void {
  place.sh('cd /proc/sys/net/ipv6/conf/default; echo 0 >accept_dad; echo 0 >dad_transmits');
}

/** A container behind a bridge, as bridge makes it: addresses 10.‹network›.0.‹number› and fd00:‹network›::‹number›. */
function member(host: Host, bridge: string, network: number, number: number): Member {
  const container = host.container(`${bridge}${number}`);
  quickly(host);
  quickly(container);
  const port = `${bridge}p${number}`;
  const [v4, v6] = [`10.${network}.0.${number}`, `fd00:${network}::${number}`];
  if (!host.succeeds(`ip link show ${bridge}`)) {
    host.sh(`ip link add ${bridge} type bridge mcast_snooping 0; ip link set ${bridge} up
      ip addr add 10.${network}.0.1/24 dev ${bridge}; ip addr add fd00:${network}::1/64 dev ${bridge} nodad`);
  }
  host.sh(`ip link add ${port} type veth peer name x${port}; ip link set ${port} master ${bridge} up`);
  host.sh(`ip link set x${port} netns ${container.path} name eth0`);
  container.sh(`ip link set lo up; ip link set eth0 up
    ip addr add ${v4}/24 dev eth0; ip addr add ${v6}/64 dev eth0 nodad
    ip route add default via 10.${network}.0.1; ip route add default via fd00:${network}::1`);
  return {
    ...container,
    v4,
    v6,
    given: (config) => ({
      container,
      containerId: port,
      config: { cniVersion: '1.0.0', name: bridge, type: 'firewall', ...config },
      prevResult: {
        cniVersion: '1.0.0',
        interfaces: [{ name: bridge }, { name: port }, { name: 'eth0', sandbox: container.path }],
        ips: [
          { address: `${v4}/24`, interface: 2 },
          { address: `${v6}/64`, interface: 2 },
        ],
      },
    }),
  };
}

interface Outside extends Container {
  readonly v4: string;
  readonly v6: string;
}

function outside(host: Host): Outside {
  const there = host.container('outside');
  quickly(host);
  quickly(there);
  host.sh(`ip link add up0 type veth peer name xup0; ip link set xup0 netns ${there.path} name eth0; ip link set up0 up
    ip addr add 192.0.2.1/24 dev up0; ip addr add fd00:ff::1/64 dev up0 nodad
    echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`);
  there.sh(`ip link set lo up; ip link set eth0 up
    ip addr add 192.0.2.2/24 dev eth0; ip addr add fd00:ff::2/64 dev eth0 nodad
    ip route add 10.0.0.0/8 via 192.0.2.1; ip route add 198.51.100.0/24 via 192.0.2.1; ip route add fd00::/16 via fd00:ff::1`);
  return { ...there, v4: '192.0.2.2', v6: 'fd00:ff::2' };
}

/** Waits until the kernels' own business is done: the first packets of a new link may be lost. */
async function ready(from: Container, to: { v4: string; v6: string }): Promise<void> {
  for (let patience = 50; patience > 0 && reaches(from, to) !== yes; patience--) {
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Which of the two families get an answer to one of two packets. */
function reaches(from: Container, to: { v4: string; v6: string }): string {
  const ping = (ip: string) => `{ ping -c 2 -i 0.1 -W 0.2 -q ${ip} >/dev/null && echo true || echo false; }`;
  const [v6, v4] = from
    .sh(
      `${ping(to.v4)} >"$0.4" & ${ping(to.v6)}; wait; cat "$0.4"; rm "$0.4"`.replaceAll('$0', `${from.path}`),
    )
    .split('\n');
  return `IPv4 ${v4}, IPv6 ${v6}`;
}
/** Gives a container addresses on the host that are translated to its own, as a published port is. Whoever has no
 *  other way gets there over the host. */
function publish(host: Host, to: { v4: string; v6: string }, number: number): { v4: string; v6: string } {
  const [v4, v6] = [`198.51.100.${number}`, `fd00:fe::${number}`];
  host.sh(`nft add table inet pub
    nft add chain inet pub pre '{ type nat hook prerouting priority -100; }'
    nft add chain inet pub post '{ type nat hook postrouting priority 100; }'
    nft add rule inet pub pre ip daddr ${v4} dnat ip to ${to.v4}
    nft add rule inet pub pre ip6 daddr ${v6} dnat ip6 to ${to.v6}
    nft add rule inet pub post ct status dnat ip saddr 10.0.0.0/8 masquerade
    nft add rule inet pub post ct status dnat ip6 saddr fd00::/16 masquerade`);
  return { v4, v6 };
}

const yes = 'IPv4 true, IPv6 true';
const no = 'IPv4 false, IPv6 false';

const legacyPath = (host: Host) => {
  const folder = join(host.bin, 'legacy');
  mkdirSync(folder);
  for (const tool of ['iptables', 'ip6tables']) {
    for (const action of ['', '-save', '-restore']) {
      symlinkSync('/usr/sbin/xtables-legacy-multi', join(folder, tool + action));
    }
  }
  return `${folder}:${path}`;
};

const iptablesDrops = 'iptables -P FORWARD DROP; ip6tables -P FORWARD DROP';
const nftablesDrops =
  "nft add table inet filter; nft add chain inet filter forward '{ type filter hook forward priority 0; policy drop; }'";
const variants = [
  { title: 'iptables', backend: 'iptables', drops: iptablesDrops },
  { title: 'legacy iptables', backend: 'iptables', drops: iptablesDrops, legacy: true },
  { title: 'nftables', backend: 'nftables', drops: nftablesDrops },
  { title: 'nftables beside rules of iptables', backend: 'nftables', drops: iptablesDrops },
];

describe.each(variants)('$title', ({ title, backend, drops, legacy = false }) => {
  const it = test.skipIf(legacy && !has('legacy iptables'));
  beforeEach<{ host: Host }>(({ host }) => {
    if (legacy) process.env.PATH = legacyPath(host);
  });

  it('with a FORWARD policy of DROP traffic passes for the container alone, until DEL', async ({ host }) => {
    const there = outside(host);
    const [one, two] = [member(host, 'foo', 1, 2), member(host, 'foo', 1, 3)];
    await ready(one, there);
    await ready(two, there);
    host.sh(drops);
    expect(reaches(one, there)).toBe(no);
    await succeed(firewall, 'ADD', one.given({ backend }));
    expect([reaches(one, there), reaches(two, there), reaches(there, one)]).toEqual([yes, no, no]);
    // Somebody else's rules around it, and rules that are there twice, do not matter.
    if (title.includes('iptables')) host.sh('iptables -I FORWARD 1 -s 198.51.100.1 -j DROP');
    await succeed(firewall, 'ADD', two.given({ backend }));
    await succeed(firewall, 'DEL', one.given({ backend }));
    expect([reaches(one, there), reaches(two, there)]).toEqual([no, yes]);
    if (title.includes('iptables')) expect(host.sh('iptables -S FORWARD')).toContain('198.51.100.1');
  });

  it('the administrator’s chain is asked first', async ({ host }) => {
    const there = outside(host);
    const one = member(host, 'foo', 1, 2);
    await ready(one, there);
    host.sh(drops);
    await succeed(firewall, 'ADD', one.given({ backend }));
    host.sh(
      backend === 'iptables'
        ? `iptables -A CNI-ADMIN -d ${there.v4} -j DROP`
        : `nft add rule inet cni_plugins_firewall CNI-ADMIN ip daddr ${there.v4} drop`,
    );
    expect(reaches(one, there)).toBe('IPv4 false, IPv6 true');
  });

  it('what is published of a container passes a FORWARD policy of DROP, its own address and others’ do not', async ({
    host,
  }) => {
    const there = outside(host);
    const [one, two] = [member(host, 'foo', 1, 2), member(host, 'foo', 1, 3)];
    await ready(one, there);
    await ready(two, there);
    const [published, others] = [publish(host, one, 1), publish(host, two, 2)];
    host.sh(drops);
    expect(reaches(there, published)).toBe(no);
    await succeed(firewall, 'ADD', one.given({ backend }));
    const look = () => [reaches(there, published), reaches(there, one), reaches(there, others)];
    expect(look()).toEqual([yes, no, no]);
    await succeed(firewall, 'CHECK', one.given({ backend }));
    await succeed(firewall, 'DEL', { ...one.given({ backend }), prevResult: undefined });
    expect(look()).toEqual([no, no, no]);
  });

  if (title.includes('beside')) return;

  it('a policy keeps nobody from what is published, be it another network’s, or a neighbour’s', async ({
    host,
  }) => {
    for (const one of ['iptables', 'ip6tables']) {
      writeFileSync(`/proc/sys/net/bridge/bridge-nf-call-${one}`, '1');
    }
    const there = outside(host);
    const foo = member(host, 'foo', 1, 2);
    const foo2 = member(host, 'foo', 1, 3);
    const bar = member(host, 'bar', 2, 2);
    for (const to of [foo2, bar, there]) await ready(foo, to);
    const published = publish(host, foo, 1);
    host.sh(drops);
    await succeed(firewall, 'ADD', foo.given({ backend, ingressPolicy: 'isolated' }));
    await succeed(firewall, 'ADD', foo2.given({ backend, ingressPolicy: 'isolated' }));
    await succeed(firewall, 'ADD', bar.given({ backend, ingressPolicy: 'same-bridge' }));
    expect([there, foo2, bar].map((from) => reaches(from, published))).toEqual([yes, yes, yes]);
    expect([there, foo2, bar].map((from) => reaches(from, foo))).toEqual([no, no, no]);
  });

  it('same-bridge keeps the networks of two bridges apart, and nothing else (firewall 29)', async ({
    host,
  }) => {
    const there = outside(host);
    const policy = { backend, ingressPolicy: 'same-bridge' };
    const [foo, foo2, bar] = [
      member(host, 'foo', 1, 2),
      member(host, 'foo', 1, 3),
      member(host, 'bar', 2, 2),
    ];
    for (const to of [foo2, bar, there]) await ready(foo, to);
    expect([reaches(foo, bar), reaches(bar, foo)]).toEqual([yes, yes]);
    for (const one of [foo, foo2, bar]) await succeed(firewall, 'ADD', one.given(policy));
    expect([reaches(foo, bar), reaches(bar, foo)]).toEqual([no, no]);
    expect([reaches(foo, foo2), reaches(foo, there)]).toEqual([yes, yes]);
  });

  it('isolated keeps the containers of one bridge apart as well, also with same-bridge on top (firewall 29)', async ({
    host,
  }) => {
    const there = outside(host);
    // Without these the bridge hands frames on and no firewall sees them.
    for (const one of ['iptables', 'ip6tables']) {
      writeFileSync(`/proc/sys/net/bridge/bridge-nf-call-${one}`, '1');
    }
    const [foo, foo2] = [member(host, 'foo', 1, 2), member(host, 'foo', 1, 3)];
    for (const to of [foo2, there]) await ready(foo, to);
    expect(reaches(foo, foo2)).toBe(yes);
    await succeed(firewall, 'ADD', foo.given({ backend, ingressPolicy: 'isolated' }));
    expect([reaches(foo, foo2), reaches(foo, there)]).toEqual([no, yes]);
    await succeed(firewall, 'ADD', foo2.given({ backend, ingressPolicy: 'same-bridge' }));
    expect(reaches(foo, foo2)).toBe(no);
  });
});
