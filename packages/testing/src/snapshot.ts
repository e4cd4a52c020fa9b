/**
 * A namespace's state through other programs' eyes, without what changes by itself (indexes, counters, timers,
 * lifetimes, link-local addresses that come with a link), so that two snapshots can be compared with toEqual.
 * Everything else stays in: what is left out here is what no plugin can be caught leaving.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Netns } from '@cni-ts/libc/netns';
import { compiled } from './compiled.ts';
import { runProgram } from './programs.ts';

type Json = Record<string, unknown>;

export interface Snapshot {
  /** With the switches of bridge ports (hairpin, isolated, learning, …), aliases and what belongs to each kind. */
  readonly links: readonly Json[];
  readonly addresses: unknown;
  readonly routes: unknown;
  /** Policy rules of both families, with all they match. */
  readonly rules: unknown;
  /** Those somebody wrote down: permanent ones and proxies, and static entries of bridges. */
  readonly neighbours: unknown;
  /** VLANs of bridge ports. */
  readonly vlans: unknown;
  /** Queueing disciplines, their classes, and filters. */
  readonly qdiscs: unknown;
  readonly nftables: readonly unknown[];
  /** Rules, chains and policies of the legacy tables. */
  readonly iptables: readonly string[];
  /** Everything under /proc/sys/net that can be read. */
  readonly settings: unknown;
  readonly files: unknown;
}

/** Few programs, for a suite takes thousands of snapshots and each start of a program counts: what one program tells of
 *  several things stands in lines, one a thing. */
const always = {
  // Asked for rules, and no family said, it keeps to IPv4 from then on: they come last.
  ip: `printf '%s\\n' address 'route show table all' 'neigh show nud permanent' 'neigh show proxy' rule |
    ip -j -d -batch -`,
  rules6: 'ip -j -d -6 rule',
  qdiscs: 'tc -j qdisc',
  nftables: "nft -j list ruleset 2>/dev/null || echo '{}'",
  // A file of /proc has no size, so its text is asked; asking the program first would load the tables.
  iptables: `for f in ip ip6; do
    read -r any 2>/dev/null </proc/net/\${f}_tables_names && \${f}tables-legacy-save 2>/dev/null
  done`,
  settings: '"$0" /proc/sys/net',
} as const;

/** What only some links can have. */
const sometimes = {
  bridge: `printf '%s\\n' fdb vlan | bridge -j -batch -`,
  classes: `for d in /proc/sys/net/ipv4/conf/*; do
    d=\${d##*/}; case $d in all|default) continue; esac
    printf '%s show dev %s %s\\n' class $d '' filter $d '' filter $d ingress filter $d egress
  done | tc -force -batch - 2>/dev/null`,
} as const;

/** A link of another kind may have a forwarding table of its own, or be the port of one that has. */
const anyForwarding = /"info_(?:slave_)?kind":"(?!veth"|dummy"|tun"|ifb"|vlan"|macvlan"|ipvlan"|vrf")/;
/** The queueing discipline of a link that has no queue: there are no classes in it, and no filters at it. */
const anyQueue = /"kind":"(?!noqueue")/;

const programs = { ...always, ...sometimes };

type Programs = Record<keyof typeof programs, string>;

/** The state of `netns`, or of the calling thread's namespace; `files`: a folder whose contents belong to it. */
export function snapshot(netns?: Netns, files?: string): Snapshot {
  const look = process.env.CNI_TS_SNAPSHOT === 'links' ? lookAtLinks : lookAtAll;
  const texts = netns ? netns.run(look) : look();
  return read(texts, files);
}

type Texts = Programs & { readonly stderr: string };

function lookAtAll(): Texts {
  const { texts, stderr } = told(always);
  const more = {
    ...(anyForwarding.test(texts.ip) && { bridge: sometimes.bridge }),
    ...(anyQueue.test(texts.qdiscs) && { classes: sometimes.classes }),
  };
  const rest = Object.keys(more).length > 0 ? told(more) : undefined;
  return { bridge: '[]\n[]', classes: '', ...texts, ...rest?.texts, stderr: stderr + (rest?.stderr ?? '') };
}

/** What these programs print, one after the other. */
function told<P extends Readonly<Record<string, string>>>(
  programs: P,
): { texts: Record<keyof P, string>; stderr: string } {
  // Node's own way copies the page tables of a process of some hundred megabytes each time.
  const script = Object.values(programs).join('\necho @@\n');
  const { stdout, stderr } = runProgram('/bin/sh', ['-c', script, compiled('settings')], process.env, '');
  const parts = stdout.split('@@\n');
  const names = Object.keys(programs);
  if (parts.length !== names.length) throw new Error(`looking at the namespace failed: ${stderr}`);
  const texts = Object.fromEntries(names.map((name, at) => [name, parts[at] ?? '']));
  return { texts: texts as Record<keyof P, string>, stderr }; // reason: the names are those of the table
}

/**
 * In user-mode Linux a program takes twenty times as long to start, and what runs there is about links: with
 * CNI_TS_SNAPSHOT=links two programs are started, and what they do not tell counts as empty, but for the settings of links
 * and those that forwarding and VRFs are about.
 */
function lookAtLinks(): Texts {
  const asked = ['address', 'route show table all', 'neigh show nud permanent', 'neigh show proxy', 'rule'];
  const { stdout, stderr } = runProgram(
    ipProgram,
    ['-j', '-d', '-batch', '-'],
    process.env,
    `${asked.join('\n')}\n`,
  );
  const folders = ['ipv4/conf', 'ipv6/conf', 'vrf'].map((folder) => `/proc/sys/net/${folder}`);
  const { stdout: settings } = runProgram(compiled('settings'), folders, {}, '');
  const forwarding = '/proc/sys/net/ipv4/ip_forward';
  return {
    ip: stdout,
    rules6: '[]',
    bridge: '[]\n[]',
    qdiscs: '[]',
    classes: '',
    nftables: '{}',
    iptables: '',
    settings: `${settings}${forwarding}:${readFileSync(forwarding, 'utf8')}`,
    stderr,
  };
}

const ipProgram = ['/sbin/ip', '/bin/ip', '/usr/sbin/ip'].find((path) => existsSync(path)) ?? 'ip';

function read(texts: Texts, files: string | undefined): Snapshot {
  const text = (name: keyof Programs) => texts[name];
  const json = (name: keyof typeof programs, count: number): Json[][] => {
    // A kernel without IPv6 has no rules of it.
    const lists = lines(text(name) || (count === 1 ? '[]' : ''));
    if (lists.length !== count)
      throw new Error(`${programs[name]} told ${lists.length} lists: ${texts.stderr}`);
    return lists.map((list) => JSON.parse(list));
  };
  const [links = [], routes = [], neighbours = [], proxies = [], rules4 = []] = json('ip', 5);
  const [forwarding = [], vlans] = json('bridge', 2);
  return {
    links: links.map(link),
    addresses: links.map(addressesOf),
    routes: routes.filter(isOwnRoute).map(route),
    rules: [...rules4, ...json('rules6', 1)],
    neighbours: [...neighbours, ...proxies, ...forwarding.filter(({ state }) => state === 'static')],
    vlans,
    qdiscs: [qdiscs(json('qdiscs', 1)[0] ?? []), lines(text('classes'))],
    nftables: nftables(text('nftables')),
    iptables: legacyTables(text('iptables')),
    settings: settings(text('settings')),
    files: files && existsSync(files) ? contents(files) : {},
  };
}

/** What a bridge and its ports count and learn by themselves, and numbers the kernel chose. */
const ownDoing =
  /_timer$|_id$|^(root|designated)_|^topology_change|^(state|no|port|multicast_router|fdb_n_learned)$/;

function link(one: Json): Json {
  const flags = (one.flags as string[]).filter((flag) =>
    ['UP', 'PROMISC', 'ALLMULTI', 'LOOPBACK', 'NOARP'].includes(flag),
  );
  const info = (one.linkinfo ?? {}) as Json; // reason: what `ip` prints there
  const steady = (data: unknown) =>
    Object.fromEntries(Object.entries((data ?? {}) as Json).filter(([key]) => !ownDoing.test(key)));
  return {
    name: one.ifname,
    alias: one.ifalias,
    altnames: one.altnames,
    mac: one.address,
    mtu: one.mtu,
    group: one.group,
    master: one.master,
    queue: one.txqlen,
    flags,
    kind: info.info_kind,
    data: steady(info.info_data),
    port: steady(info.info_slave_data),
  };
}

function addressesOf({ ifname, addr_info }: Json): unknown[] {
  const infos = addr_info as { family: string; local: string; prefixlen: number; scope: string }[];
  return [
    ifname,
    ...infos
      // The one that comes with every link is made of its MAC.
      .filter(({ scope, local }) => !(scope === 'link' && /^fe80::.*ff:fe/.test(local)))
      .map(({ local, prefixlen, ...more }) => {
        const { address, broadcast, label, scope, nodad, noprefixroute }: Json = more;
        return {
          address: `${local}/${prefixlen}`,
          peer: address,
          broadcast,
          label,
          scope,
          nodad,
          noprefixroute,
        };
      }),
  ];
}

/** Not those that follow from the addresses and links: local ones, link-local ones, multicast. */
function isOwnRoute({ table, dst, protocol }: Json): boolean {
  return protocol !== 'kernel' || (table !== 'local' && !/^(fe80|ff00|multicast)/.test(String(dst)));
}

function route({ flags, pref, expires, ...all }: Json): Json {
  const asked = ((flags ?? []) as string[]).filter((flag) => !/^(dead|linkdown|offload|rt_)/.test(flag));
  return { ...all, flags: asked };
}

/** Not a link's default, which comes when the link goes up. A handle nobody chose is the kernel's next number. */
function qdiscs(all: Json[]): Json[] {
  return all
    .filter(({ handle }) => handle !== '0:')
    .map(({ kind, dev, options, parent, root, handle }) => {
      const chosen = /^8[0-9a-f]{3}:$/.test(String(handle)) ? undefined : handle;
      const steady = Object.entries((options ?? {}) as Json).filter(([key]) => !key.endsWith('_stat'));
      return { kind, dev, options: Object.fromEntries(steady), parent, root, handle: chosen };
    });
}

function nftables(text: string): unknown[] {
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

/** `table: line` of everything but a built-in chain that does nothing, which comes with its table and stays. */
function legacyTables(saved: string): string[] {
  let table = '';
  return lines(saved).flatMap((line) => {
    if (line.startsWith('*')) table = line.slice(1);
    if (!/^(-A|:)/.test(line) || /^:\S+ ACCEPT /.test(line)) return [];
    return [`${table}: ${line.replace(/ *\[\d+:\d+\]/, '')}`];
  });
}

/** The last that was seen: mostly they have not changed, and what is the same object is compared at once. */
let known: { readonly text: string; readonly settings: Record<string, string> } | undefined;

/** Not those that count, or belong to the whole machine. */
function settings(text: string): Record<string, string> {
  if (known?.text !== text) known = { text, settings: settingsIn(text) };
  return known.settings;
}

function settingsIn(text: string): Record<string, string> {
  const own = lines(text).filter((line) => !/nf_conntrack_(count|buckets|max|expect_max)\b/.test(line));
  return Object.fromEntries(
    own.map((line) => {
      const [path = '', ...value] = line.slice('/proc/sys/'.length).split(':');
      return [path, value.join(':')];
    }),
  );
}

function lines(text: string): string[] {
  return text.split('\n').flatMap((line) => line.trimEnd() || []);
}

function contents(folder: string, under = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const kind = lstatSync(path);
    if (kind.isDirectory()) Object.assign(found, contents(path, `${under}${name}/`));
    else if (kind.isSymbolicLink()) found[under + name] = `-> ${readlinkSync(path)}`;
    // Where the next allocation starts, and who locks: neither is somebody's.
    else if (!/^(lock|last_reserved_ip\.\d+)$/.test(name)) found[under + name] = readFileSync(path, 'latin1');
  }
  return found;
}
