/**
 * A namespace's state through other programs' eyes, without what changes by itself (indexes, counters, timers,
 * lifetimes, link-local addresses that come with a link), so that two snapshots can be compared with toEqual.
 * Everything else stays in: what is left out here is what no plugin can be caught leaving.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Netns } from '@cni-ts/libc/netns';
import { compiled } from './compiled.ts';
import { ipProgram, runProgram } from './programs.ts';

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
// Asked for rules, and no family said, it keeps to IPv4 from then on: they come last.
const ip = ['address', 'route show table all', 'neigh show nud permanent', 'neigh show proxy', 'rule'];

/** What only some namespaces have, by the program that tells of it. */
const sometimes = {
  rules6: 'ip -j -d -6 rule',
  qdiscs: 'tc -j qdisc',
  nftables: "nft -j list ruleset 2>/dev/null || echo '{}'",
  iptables: 'iptables-legacy-save 2>/dev/null',
  ip6tables: 'ip6tables-legacy-save 2>/dev/null',
  bridge: `printf '%s\\n' fdb vlan | bridge -j -batch -`,
  classes: `for d in /proc/sys/net/ipv4/conf/*; do
    d=\${d##*/}; case $d in all|default) continue; esac
    printf '%s show dev %s %s\\n' class $d '' filter $d '' filter $d ingress filter $d egress
  done | tc -force -batch - 2>/dev/null`,
} as const;

type Sometimes = keyof typeof sometimes;

/** What they tell where there is nothing. */
const nothing: Readonly<Record<Sometimes, string>> = {
  rules6: '[]',
  qdiscs: '[]',
  nftables: '{}',
  iptables: '',
  ip6tables: '',
  bridge: '[]\n[]',
  classes: '',
};

/** A link of another kind may have a forwarding table of its own, or be the port of one that has. */
const anyForwarding = /"info_(?:slave_)?kind":"(?!veth"|dummy"|tun"|ifb"|vlan"|macvlan"|ipvlan"|vrf")/;
/** The queueing discipline of a link that has no queue: there are no classes in it, and no filters at it. */
const anyQueue = /"kind":"(?!noqueue")/;

type Texts = Readonly<Record<Sometimes | 'ip' | 'settings' | 'stderr', string>>;

/** The state of `netns`, or of the calling thread's namespace; `files`: a folder whose contents belong to it. */
export function snapshot(netns?: Netns, files?: string): Snapshot {
  const look = process.env.CNI_TS_SNAPSHOT === 'links' ? lookAtLinks : lookAtAll;
  const texts = netns ? netns.run(look) : look();
  return read(texts, files);
}

/** What the program tells of IPv6 rules, by these as the kernel tells them. */
const knownRules6 = new Map<string, string>();

function lookAtAll(): Texts {
  const { stdout: links, stderr } = askIp();
  const { others, settings } = look('/proc/sys/net');
  const rules6 = knownRules6.get(others.rules6 ?? '-');
  const asked: Sometimes[] = [];
  if (rules6 === undefined) asked.push('rules6');
  if (others.queues !== '0') asked.push('qdiscs');
  // The number of the generation that is there before anybody has written a rule.
  if (others.nftables !== '1') asked.push('nftables');
  for (const family of others.tables?.match(/ip6?/g) ?? [])
    asked.push(family === 'ip' ? 'iptables' : 'ip6tables');
  if (anyForwarding.test(links)) asked.push('bridge');
  const first = told(asked);
  if (rules6 === undefined && others.rules6 !== undefined && others.rules6 !== '-')
    knownRules6.set(others.rules6, first.texts.rules6);
  const queues = anyQueue.test(first.texts.qdiscs) ? told(['classes']) : undefined;
  return {
    ...first.texts,
    ...(rules6 !== undefined && { rules6 }),
    ...(queues && { classes: queues.texts.classes }),
    ip: links,
    settings,
    stderr: stderr + first.stderr + (queues?.stderr ?? ''),
  };
}

function askIp() {
  return runProgram(ipProgram, ['-j', '-d', '-batch', '-'], process.env, `${ip.join('\n')}\n`);
}

/** See look.c. */
function look(...folders: string[]): { others: Partial<Record<string, string>>; settings: string } {
  const { stdout, stderr } = runProgram(compiled('look'), folders, {}, '');
  const end = stdout.indexOf('\n');
  if (end < 0) throw new Error(`looking at the namespace failed: ${stderr}`);
  const words = stdout.slice(0, end).split(' ');
  const others = Object.fromEntries(
    words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1]]] : [])),
  );
  return { others, settings: stdout.slice(end + 1) };
}

/** What these programs print, one after the other. */
function told(asked: readonly Sometimes[]): { texts: Record<Sometimes, string>; stderr: string } {
  const texts = { ...nothing };
  if (asked.length === 0) return { texts, stderr: '' };
  const script = asked.map((name) => sometimes[name]).join('\necho @@\n');
  const { stdout, stderr } = runProgram('/bin/sh', ['-c', script], process.env, '');
  const parts = stdout.split('@@\n');
  if (parts.length !== asked.length) throw new Error(`looking at the namespace failed: ${stderr}`);
  asked.forEach((name, at) => {
    texts[name] = parts[at] ?? '';
  });
  return { texts, stderr };
}

/**
 * In user-mode Linux a program takes twenty times as long to start, and what runs there is about links: with
 * CNI_TS_SNAPSHOT=links two programs are started, and what they do not tell counts as empty, but for the settings of links
 * and those that forwarding and VRFs are about.
 */
function lookAtLinks(): Texts {
  const { stdout: links, stderr } = askIp();
  const folders = ['ipv4/conf', 'ipv6/conf', 'vrf'].map((folder) => `/proc/sys/net/${folder}`);
  const { settings } = look(...folders);
  const forwarding = '/proc/sys/net/ipv4/ip_forward';
  return {
    ...nothing,
    ip: links,
    settings: `${settings}${forwarding}:${readFileSync(forwarding, 'utf8')}`,
    stderr,
  };
}

function read(texts: Texts, files: string | undefined): Snapshot {
  const json = (name: keyof Texts, count: number): Json[][] => {
    // A kernel without IPv6 has no rules of it.
    const lists = lines(texts[name] || (count === 1 ? '[]' : ''));
    if (lists.length !== count)
      throw new Error(`of ${name} ${lists.length} lists were told: ${texts.stderr}`);
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
    qdiscs: [qdiscs(json('qdiscs', 1)[0] ?? []), lines(texts.classes)],
    nftables: nftables(texts.nftables),
    iptables: [...legacyTables(texts.iptables), ...legacyTables(texts.ip6tables)],
    settings: settings(texts.settings),
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
    // Where the next allocation starts, what nobody has any more, and who locks: none of it is somebody's.
    else if (!/^(lock|resting|last_reserved_ip\.\d+)$/.test(name))
      found[under + name] = readFileSync(path, 'latin1');
  }
  return found;
}
