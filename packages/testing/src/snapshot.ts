/**
 * A namespace's state through other programs' eyes, without what changes by itself (indexes, counters, lifetimes,
 * link-local addresses that come with a link), so that two snapshots can be compared with toEqual.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Netns } from '@cni-ts/libc/netns';

type Json = Record<string, unknown>;

export interface Snapshot {
  readonly links: unknown;
  readonly addresses: unknown;
  readonly routes: unknown;
  readonly rules: unknown;
  readonly qdiscs: unknown;
  readonly nftables: unknown;
  readonly iptables: string;
  readonly settings: unknown;
  readonly files: unknown;
}

const script = `
ip -j -d link; echo @@; ip -j address; echo @@; ip -j route show table all; echo @@; ip -j -6 route show table all; echo @@
ip -j rule; echo @@; tc -j qdisc; echo @@
for d in $(ls /proc/sys/net/ipv4/conf 2>/dev/null); do tc filter show dev $d 2>/dev/null; tc filter show dev $d ingress 2>/dev/null; done | sed 's/[ ]*$//'
echo @@; nft -j list ruleset 2>/dev/null || echo '{}'; echo @@
for f in ip ip6; do [ -s /proc/net/\${f}_tables_names ] && \${f}tables-legacy-save 2>/dev/null | grep -E '^(-A|:)' | sed 's/\\[.*\\]//'; done; echo @@
for k in ipv4/ip_forward ipv6/conf/all/forwarding ipv6/conf/lo/disable_ipv6; do echo "$k $(cat /proc/sys/net/$k 2>/dev/null)"; done
`;

/** The state of `netns`, or of the calling thread's namespace; `files`: a folder whose contents belong to it. */
export function snapshot(netns?: Netns, files?: string): Snapshot {
  const look = () => spawnSync('bash', ['-c', script], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const { stdout, stderr } = netns ? netns.run(look) : look();
  const parts = stdout.split('@@\n');
  if (parts.length !== 10) throw new Error(`looking at the namespace failed: ${stderr}`);
  const json = (i: number): Json[] => JSON.parse(parts[i]?.trim() || '[]'); // iproute2 prints nothing for an empty list
  return {
    links: json(0).map(link),
    addresses: json(1).map((one) => [one.ifname, ...addressesOf(one)]),
    routes: [...json(2).filter(isOwnRoute), ...json(3).filter(isOwnRoute)].map(route),
    rules: json(4).map(({ priority, src, table }) => ({ priority, src, table })),
    qdiscs: [json(5).map(({ kind, dev, options }) => ({ kind, dev, options })), parts[6]],
    nftables: nftables(parts[7] ?? '{}'),
    iptables: parts[8] ?? '',
    settings: parts[9],
    files: files && existsSync(files) ? contents(files) : {},
  };
}

function link(one: Json): Json {
  const flags = (one.flags as string[]).filter((flag) =>
    ['UP', 'PROMISC', 'ALLMULTI', 'LOOPBACK'].includes(flag),
  );
  const info = one.linkinfo as Json | undefined;
  return {
    name: one.ifname,
    mac: one.address,
    mtu: one.mtu,
    master: one.master,
    queue: one.txqlen,
    flags,
    kind: info?.info_kind,
    vlanFiltering: (info?.info_data as Json | undefined)?.vlan_filtering,
  };
}

function addressesOf(one: Json): string[] {
  const infos = one.addr_info as { local: string; prefixlen: number; scope: string }[];
  return infos.filter(({ scope }) => scope !== 'link').map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

/** Without the local table (it follows from the addresses) and link-local routes (they come and go with a link). */
function isOwnRoute({ table, dst }: Json): boolean {
  return table !== 'local' && !/^(fe80|ff00)/.test(String(dst)) && dst !== 'multicast';
}

function route({ dst, gateway, dev, metric, table, scope, prefsrc, type }: Json): Json {
  return { dst, gateway, dev, metric, table, scope, prefsrc, type };
}

function nftables(text: string): unknown {
  const strip = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(strip);
    if (typeof value !== 'object' || value === null) return value;
    const kept = Object.entries(value).filter(
      ([key]) => !['handle', 'packets', 'bytes', 'metainfo', 'index'].includes(key),
    );
    return Object.fromEntries(kept.map(([key, member]) => [key, strip(member)]));
  };
  const { nftables: all } = JSON.parse(text) as { nftables?: object[] };
  return (all ?? []).filter((one) => !('metainfo' in one)).map(strip);
}

function contents(folder: string, under = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) Object.assign(found, contents(path, `${under}${name}/`));
    // Where the next allocation starts, and who locks: neither is somebody's.
    else if (!/^(lock|last_reserved_ip\.\d+)$/.test(name)) found[under + name] = readFileSync(path, 'latin1');
  }
  return found;
}
