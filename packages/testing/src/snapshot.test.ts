/** What no snapshot shows, no plugin is caught leaving behind: every kind of change must show, and its removal too. */
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { type Host, test } from './namespaces.ts';
import { has } from './needs.ts';
import { type Snapshot, snapshot } from './snapshot.ts';

/** A change, how it is taken back, and where it shows. */
type Change = [what: string, make: string, takeBack: string, shows: keyof Snapshot];

const port = (name: string): Change => [
  `${name} of a bridge port`,
  `bridge link set dev port ${name} on`,
  `bridge link set dev port ${name} off`,
  'links',
];

const changes: readonly Change[] = [
  ['a link', 'ip link add x0 type bridge', 'ip link del x0', 'links'],
  ['an alias', 'ip link set br0 alias mine', 'ip link set br0 alias ""', 'links'],
  [
    'another name',
    'ip link property add dev br0 altname other',
    'ip link property del dev br0 altname other',
    'links',
  ],
  ['the MTU', 'ip link set port mtu 1400', 'ip link set port mtu 1500', 'links'],
  ['the queue', 'ip link set port txqueuelen 9', 'ip link set port txqueuelen 1000', 'links'],
  ['the group', 'ip link set port group 7', 'ip link set port group 0', 'links'],
  ['promiscuity', 'ip link set br0 promisc on', 'ip link set br0 promisc off', 'links'],
  [
    'a setting of a bridge',
    'ip link set br0 type bridge group_fwd_mask 8',
    'ip link set br0 type bridge group_fwd_mask 0',
    'links',
  ],
  port('hairpin'),
  port('isolated'),
  port('guard'),
  port('fastleave'),
  [
    'learning of a bridge port',
    'bridge link set dev port learning off',
    'bridge link set dev port learning on',
    'links',
  ],
  ['an address', 'ip address add 10.1.0.1/24 dev br0', 'ip address del 10.1.0.1/24 dev br0', 'addresses'],
  [
    'a link-local address',
    'ip address add fe80::7/64 dev br0 nodad',
    'ip address del fe80::7/64 dev br0',
    'addresses',
  ],
  [
    'an IPv4 address of link scope',
    'ip address add 169.254.1.1/32 dev br0 scope link',
    'ip address del 169.254.1.1/32 dev br0',
    'addresses',
  ],
  ['a route', 'ip route add 10.9.0.0/16 via 10.0.0.2', 'ip route del 10.9.0.0/16', 'routes'],
  [
    'the MTU of a route',
    'ip route replace 10.8.0.0/16 via 10.0.0.2 mtu 1300',
    'ip route replace 10.8.0.0/16 via 10.0.0.2',
    'routes',
  ],
  [
    'a route of another table',
    'ip route add 10.9.0.0/16 via 10.0.0.2 table 9',
    'ip route del 10.9.0.0/16 table 9',
    'routes',
  ],
  [
    'a written local route',
    'ip route add local 10.7.0.0/16 dev lo',
    'ip route del local 10.7.0.0/16 dev lo table local',
    'routes',
  ],
  [
    'an IPv6 route',
    'ip route add unreachable 2001:db8::/32',
    'ip route del unreachable 2001:db8::/32',
    'routes',
  ],
  ['a rule by mark', 'ip rule add fwmark 7 priority 50', 'ip rule del fwmark 7 priority 50', 'rules'],
  [
    'an IPv6 rule',
    'ip -6 rule add from 2001:db8::1 table 9',
    'ip -6 rule del from 2001:db8::1 table 9',
    'rules',
  ],
  [
    'a neighbour',
    'ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev br0',
    'ip neigh del 10.0.0.9 dev br0',
    'neighbours',
  ],
  ['a proxy', 'ip neigh add proxy 10.0.0.8 dev br0', 'ip neigh del proxy 10.0.0.8 dev br0', 'neighbours'],
  [
    'an entry of a bridge',
    'bridge fdb add 02:00:00:00:00:09 dev port master static',
    'bridge fdb del 02:00:00:00:00:09 dev port master',
    'neighbours',
  ],
  [
    'a qdisc',
    'tc qdisc add dev port root tbf rate 1mbit burst 9k latency 9ms',
    'tc qdisc del dev port root',
    'qdiscs',
  ],
  [
    'a class',
    'tc class add dev port parent 7: classid 7:1 htb rate 1mbit',
    'tc class del dev port classid 7:1',
    'qdiscs',
  ],
  [
    'a filter at ingress',
    'tc filter add dev br0 ingress protocol ip u32 match ip dst 10.0.0.1 flowid 7:1',
    'tc filter del dev br0 ingress',
    'qdiscs',
  ],
  [
    'a filter at egress',
    'tc filter add dev br0 egress protocol ip u32 match ip dst 10.0.0.1 flowid 7:1',
    'tc filter del dev br0 egress',
    'qdiscs',
  ],
  ['an nftables table', 'nft add table inet t', 'nft delete table inet t', 'nftables'],
  [
    'an element of a set',
    "nft add element ip known s '{ 10.0.0.1 }'",
    "nft delete element ip known s '{ 10.0.0.1 }'",
    'nftables',
  ],
  [
    'a legacy rule',
    'iptables-legacy -t nat -A OUTPUT -j ACCEPT',
    'iptables-legacy -t nat -D OUTPUT -j ACCEPT',
    'iptables',
  ],
  ['a legacy IPv6 chain', 'ip6tables-legacy -N mine', 'ip6tables-legacy -X mine', 'iptables'],
  ['a legacy policy', 'iptables-legacy -P FORWARD DROP', 'iptables-legacy -P FORWARD ACCEPT', 'iptables'],
];

const settings = [
  'ipv4/ip_forward',
  'ipv4/conf/br0/proxy_arp',
  'ipv4/conf/br0/route_localnet',
  'ipv4/conf/br0/arp_notify',
  'ipv4/conf/all/rp_filter',
  'ipv6/conf/all/forwarding',
  'ipv6/conf/br0/accept_dad',
  'ipv6/conf/br0/accept_ra',
  'ipv6/conf/br0/disable_ipv6',
  'ipv6/conf/br0/proxy_ndp',
  'core/somaxconn',
];

/** A bridge with a port, an address, a route, and something in each table to add to. */
function furnish(host: Host): void {
  host.sh(`set -e; ip link set lo up; ip link add br0 type bridge; ip link add veth0 type veth peer name port
    ip link set port master br0; ip link set br0 up; ip link set port up; ip link set veth0 up
    ip address add 10.0.0.1/24 dev br0; ip route add 10.8.0.0/16 via 10.0.0.2
    tc qdisc add dev br0 clsact; nft 'add table ip known; add set ip known s { type ipv4_addr; }'`);
}

describe('a snapshot shows', () => {
  test('the label of an address', ({ host }) => {
    furnish(host);
    host.sh('ip address add 10.2.0.1/24 dev br0');
    const before = snapshot();
    host.sh('ip address del 10.2.0.1/24 dev br0; ip address add 10.2.0.1/24 dev br0 label br0:1');
    expect(snapshot().addresses).not.toEqual(before.addresses);
  });

  test('the first nftables table of a namespace, and the first that is taken back', ({ host }) => {
    const before = snapshot();
    host.sh('nft add table inet t');
    expect(snapshot().nftables).not.toEqual(before.nftables);
    host.sh('nft delete table inet t');
    expect(snapshot()).toEqual(before);
  });

  test('the first queue of a namespace', ({ host }) => {
    host.sh('ip link set lo up');
    const before = snapshot();
    shown(host, 'tc qdisc add dev lo clsact', 'tc qdisc del dev lo clsact', 'qdiscs');
    expect(snapshot()).toEqual(before);
  });

  test.for(changes.filter(([, , , shows]) => shows !== 'iptables' || has('legacy iptables')))(
    '%s',
    ([what, make, takeBack, shows], { host }) => {
      furnish(host);
      if (what === 'a class') host.sh('tc qdisc add dev port root handle 7: htb');
      shown(host, make, takeBack, shows);
    },
  );

  test.for(settings)('the setting %s', (name, { host }) => {
    furnish(host);
    const file = `/proc/sys/net/${name}`;
    const before = host.sh(`cat ${file}`).trim();
    shown(host, `echo ${Number(before) === 1 ? 0 : 1} >${file}`, `echo ${before} >${file}`, 'settings');
  });

  test('each setting of a link that can be changed', ({ host }) => {
    furnish(host);
    const unseen: string[] = [];
    let changed = 0;
    let before = settingsNow();
    for (const folder of ['ipv4/conf', 'ipv6/conf']) {
      for (const name of readdirSync(`/proc/sys/net/${folder}/br0`)) {
        if (!change(`/proc/sys/net/${folder}/br0/${name}`)) continue;
        changed++;
        const after = settingsNow();
        const key = `net/${folder}/br0/${name}`;
        if (after[key] === before[key]) unseen.push(name);
        before = after;
      }
    }
    expect(unseen).toEqual([]);
    expect(changed).toBeGreaterThan(60);
  });

  test('files and links to files', ({ host }) => {
    const before = snapshot(undefined, host.dir);
    writeFileSync(join(host.dir, 'file'), 'text');
    symlinkSync('/nowhere', join(host.dir, 'link'));
    expect(before.files).toEqual({});
    expect(snapshot(undefined, host.dir).files).toEqual({ file: 'text', link: '-> /nowhere' });
  });

  test('the same twice, while traffic passes', ({ host, container }) => {
    furnish(host);
    host.sh(`ip link set veth0 netns ${container.path}`);
    container.sh('ip link set veth0 up; ip address add 10.0.0.2/24 dev veth0');
    const before = snapshot();
    container.sh('ping -c 2 -i 0.2 10.0.0.1');
    expect(snapshot()).toEqual(before);
  });
});

function settingsNow(): Record<string, string> {
  return snapshot().settings as Record<string, string>; // reason: what it makes of them
}

/** Writes something else there; false where nothing else can be. */
function change(file: string): boolean {
  const text = () => attempted(() => readFileSync(file, 'utf8'));
  const before = text();
  return ['1', '0', '2', '3', '1400', 'fe80::1'].some((value) => {
    attempted(() => writeFileSync(file, value));
    return text() !== before;
  });
}

function attempted<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined; // reason: some cannot be read before they are written, and each takes other values
  }
}

function shown(host: Host, make: string, takeBack: string, shows: keyof Snapshot): void {
  const before = snapshot();
  host.sh(make);
  expect(snapshot()[shows]).not.toEqual(before[shows]);
  host.sh(takeBack);
  expect(snapshot()).toEqual(before);
}
