import { type Cidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, type Ip } from '@cni-ts/address/ip';
import { dnat, jump, jumpTarget, masquerade, vmap } from '@cni-ts/netfilter/nftables/action';
import { addChain, type Chain, deleteChain, findChain } from '@cni-ts/netfilter/nftables/chain';
import { dataOf, type Expression } from '@cni-ts/netfilter/nftables/expression';
import {
  destinationAddress,
  destinationPort,
  l4proto,
  originalDestination,
  originalPort,
} from '@cni-ts/netfilter/nftables/field';
import { ctStatus, daddr, daddrIsLocal, dport, saddr } from '@cni-ts/netfilter/nftables/match';
import {
  addRule,
  comment,
  deleteRule,
  type ListedRule,
  listRules,
  type Rule,
  rule,
  sameRule,
} from '@cni-ts/netfilter/nftables/rule';
import {
  addElements,
  addSet,
  deleteElements,
  type Element,
  findElement,
  hasSet,
  listElements,
  type NftSet,
  protocols,
} from '@cni-ts/netfilter/nftables/set';
import { addTable, countObjects, deleteTable, type Table } from '@cni-ts/netfilter/nftables/table';
import { type Change, retryRaces, transaction } from '@cni-ts/netfilter/nftables/transaction';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Holder } from './holder.ts';
import { type HostPort, hostPortText, overlaps, type Protocol } from './mapping.ts';
import { networkTag, nftChains, nftComment, type Owner, ownerTag, readNftComment } from './owner.ts';
import type { Plan } from './plan.ts';

/**
 * Port mappings in nftables: a table per family with the reference's names. Two maps say whose chain a protocol,
 * host address and port leads to, so a port has one owner, which the kernel itself sees to, and finding it is one
 * look-up however many ports there are. Only packets for an address of this host get as far as the maps. Two more
 * maps lead a redirected connection to the rules that say whether it is masqueraded.
 *
 * A container's chain is shared by its attachments, whose rules carry their owner in the comment: published on
 * several networks, a port leads to the attachment that came first, and to the next one when that goes.
 */
function objects(family: 4 | 6) {
  const table: Table = {
    family: family === 4 ? 'ip' : 'ip6',
    name: 'cni_hostport',
    comment: 'CNI portmap plugin',
  };
  const chain = (name: string): Chain => ({ table, name });
  const base = (hook: 'prerouting' | 'output' | 'postrouting', name: string, priority: number): Chain => ({
    table,
    name,
    base: { type: 'nat', hook, priority, policy: 'accept' },
  });
  const address = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
  const map = (name: string, ...key: NftSet['key']): NftSet => ({ table, name, key, value: 'verdict' });
  return {
    table,
    hostports: chain('hostports'),
    hostipHostports: chain('hostip_hostports'),
    all: chain('hostports_all'),
    prerouting: base('prerouting', 'prerouting', -100),
    output: base('output', 'output', -100),
    masquerading: base('postrouting', 'masquerading', 100),
    dnat: {
      byAddress: map('owner_by_address', address, 'inet_proto', 'inet_service'),
      byPort: map('owner_by_port', 'inet_proto', 'inet_service'),
    },
    masq: {
      byAddress: map('masquerade_by_address', address, 'inet_proto', 'inet_service'),
      byPort: map('masquerade_by_port', 'inet_proto', 'inet_service'),
    },
  };
}
type Objects = ReturnType<typeof objects>;
type Maps = Objects['dnat'];

/** Chains of the table with the rules that lead from one to the next and into the maps, for all attachments. */
function plumbing(family: 4 | 6, withMasquerading: boolean): [Chain, Rule[]][] {
  const {
    hostports,
    hostipHostports,
    all,
    prerouting,
    output,
    masquerading,
    dnat: to,
    masq,
  } = objects(family);
  const chains: [Chain, Rule[]][] = [
    [hostipHostports, []],
    [
      hostports,
      [
        rule(vmap([destinationAddress[family], l4proto, destinationPort], to.byAddress)),
        rule(vmap([l4proto, destinationPort], to.byPort)),
      ],
    ],
    [all, [rule(jump(hostipHostports)), rule(jump(hostports))]],
    [prerouting, [rule(daddrIsLocal, jump(all))]],
    [output, [rule(daddrIsLocal, jump(all))]],
  ];
  if (!withMasquerading) return chains;
  const redirected = ctStatus('dnat');
  return [
    ...chains,
    [
      masquerading,
      [
        rule(redirected, vmap([originalDestination[family], l4proto, originalPort], masq.byAddress)),
        rule(redirected, vmap([l4proto, originalPort], masq.byPort)),
      ],
    ],
  ];
}

/** What one attachment needs in one family. */
interface Wanted {
  readonly family: 4 | 6;
  readonly ports: readonly HostPort[];
  readonly dnat: readonly Rule[];
  /** Empty when nothing is masqueraded. */
  readonly masquerade: readonly Rule[];
}

const loopback = parseCidr('127.0.0.0/8');

function wantedOf({ owner, targets, snat, masqAll, nftConditions }: Plan): Wanted[] {
  const mine = comment(nftComment(owner));
  return targets.map(({ address, mappings }) => {
    const { family } = address.ip;
    return {
      family,
      ports: mappings,
      dnat: mappings.flatMap((mapping) =>
        nftConditions[family].map((conditions) =>
          rule(
            ...(mapping.address ? [daddr(mapping.address)] : []),
            dport(mapping.protocol, mapping.port),
            ...conditions,
            dnat(address.ip, mapping.containerPort),
            mine,
          ),
        ),
      ),
      masquerade: snat
        ? sources(address, masqAll).map((from) => rule(...from, daddr(address.ip), masquerade, mine))
        : [],
    };
  });
}

/**
 * Who has to be masqueraded to get its answers back: the container itself and its neighbours, whose answers would go
 * to them directly, and the host talking to 127.0.0.1, an address that means nothing in the container.
 */
function sources(address: Cidr, all: boolean) {
  if (all) return [[]];
  const own = [saddr(networkOf(address))];
  return address.ip.family === 4 && loopback ? [own, [saddr(loopback)]] : [own];
}

/** Adds or replaces an attachment's mappings: one transaction for both families. Nothing wanted: nothing is sent. */
export function addToNftables(nl: Netlink, plan: Plan): void {
  retryRaces(() =>
    transaction(
      nl,
      wantedOf(plan).flatMap((wanted) => additions(nl, plan.owner, wanted)),
    ),
  );
}

function additions(nl: Netlink, owner: Owner, wanted: Wanted): Change[] {
  const { table, dnat: to, masq } = objects(wanted.family);
  const names = nftChains(owner.containerId);
  const existing = listRules(nl, table, names.dnat);
  const masquerades = wanted.masquerade.length > 0;
  const parts: [string, Maps, readonly Rule[]][] = [[names.dnat, to, wanted.dnat]];
  if (masquerades) parts.push([names.masquerade, masq, wanted.masquerade]);
  return [
    // An ADD repeated, perhaps with other ports: what it had before goes first.
    ...removals(nl, wanted.family, [names.dnat, names.masquerade], tagged(owner)).changes,
    ...ensurePlumbing(nl, wanted.family, masquerades),
    ...parts.flatMap(([name, maps, rules]) => {
      const chain: Chain = { table, name, comment: names.comment };
      const stay = portsOf(existing.filter((one) => !tagged(owner)(one)));
      // The same container may have the port from another network already: then the key leads here as it is.
      const ports = wanted.ports.filter(
        (port) =>
          !stay.some((one) => samePort(one, port) && findElement(nl, ...lookup(maps, one))?.jump === name),
      );
      return [
        addChain(chain),
        ...rules.map((one) => addRule(chain, one)),
        ...changeKeys(addElements, maps, ports, name),
      ];
    }),
  ];
}

/** What is missing of table, maps, chains and the rules between them. */
function ensurePlumbing(nl: Netlink, family: 4 | 6, withMasquerading: boolean): Change[] {
  const { table, dnat: to, masq } = objects(family);
  return [
    addTable(table),
    ...[to, ...(withMasquerading ? [masq] : [])].flatMap(({ byAddress, byPort }) => [
      addSet(byAddress),
      addSet(byPort),
    ]),
    ...plumbing(family, withMasquerading).flatMap(([chain, rules]) => {
      const there = listRules(nl, table, chain.name);
      const missing = rules.filter((one) => !there.some((listed) => sameRule(table.family, one, listed)));
      return [addChain(chain), ...missing.map((one) => addRule(chain, one))];
    }),
  ];
}

function tagged(owner: Owner): (one: ListedRule) => boolean {
  const tag = ownerTag(owner);
  return ({ comment: text }) => text?.startsWith(tag) ?? false;
}

/**
 * Who else has one of these ports: another container's mapping in the maps, or one that the reference made. Looks up
 * the keys themselves; only ports for all addresses are also compared with the list of those for single addresses.
 */
export function nftablesHolder(
  nl: Netlink,
  owner: Owner,
  family: 4 | 6,
  ports: readonly HostPort[],
): Holder | undefined {
  const { table, dnat: to, hostports, hostipHostports } = objects(family);
  const own = nftChains(owner.containerId).dnat;
  const anywhere = ports.some(({ address }) => !address) ? listElements(nl, to.byAddress) : [];
  for (const port of ports) {
    const candidates = [
      findElement(nl, ...lookup(to, { ...port, address: undefined })),
      port.address
        ? findElement(nl, ...lookup(to, port))
        : anywhere.find(
            ({ key: [, protocol, number] }) => protocol === port.protocol && number === port.port,
          ),
    ];
    const taken = candidates.find((one) => one?.jump !== undefined && one.jump !== own);
    if (taken?.jump) return holderOf(nl, table, taken.jump, port);
  }
  for (const chain of [hostports, hostipHostports]) {
    for (const listed of listRules(nl, table, chain.name)) {
      const theirs = portOf(listed.expressions);
      const port = theirs && ports.find((one) => overlaps(one, theirs));
      if (port && listed.comment !== undefined && listed.comment !== owner.containerId) {
        return { port, containerId: listed.comment, more: 'by another version of portmap' };
      }
    }
  }
  return undefined;
}

function holderOf(nl: Netlink, table: Table, chain: string, port: HostPort): Holder {
  const containerId = findChain(nl, { table, name: chain })?.comment ?? 'unknown';
  const rules = listRules(nl, table, chain);
  const own = rules.find(({ expressions }) => {
    const theirs = portOf(expressions);
    return theirs && overlaps(theirs, port);
  });
  return { port, containerId, more: readNftComment(own?.comment) };
}

/** What DEL took away, for the connections that have to be forgotten. */
export type Removed = Record<4 | 6, HostPort[]>;

/**
 * Takes an attachment's mappings away, found by its names alone, also those that the reference made for it:
 * `addresses`, where known, spare what it made for other networks of the container. With the last mapping of a
 * family its table goes.
 */
export function removeFromNftables(nl: Netlink, owner: Owner, addresses?: readonly Ip[]): Removed {
  const mine = tagged(owner);
  const which = (one: ListedRule) => mine(one) || isReferences(one, owner.containerId, addresses);
  const { dnat: name, masquerade: masqueradeName } = nftChains(owner.containerId);
  return remove(nl, which, () => [name, masqueradeName]);
}

/** Removes the mappings of this network's attachments that are not valid any more. */
export function gcNftables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): Removed {
  const keep = valid.map((one) => ownerTag({ network, ...one }));
  const all = networkTag(network);
  const stale = ({ comment: text }: ListedRule) =>
    (text?.startsWith(all) ?? false) && !keep.some((tag) => text?.startsWith(tag));
  return remove(nl, stale, (family) => {
    const rules = listRules(nl, objects(family).table).filter(stale);
    const hashes = new Set(rules.map(({ chain }) => chain.replace(/^\w+-/, '')));
    return [...hashes].flatMap((hash) => [`dnat-${hash}`, `masq-${hash}`]);
  });
}

/** Which rules go, and in which containers' chains they may be. One transaction for both families. */
function remove(
  nl: Netlink,
  which: (one: ListedRule) => boolean,
  chains: (family: 4 | 6) => readonly string[],
): Removed {
  let keys: 'ofRules' | 'all' = 'ofRules';
  return retryRaces(() => {
    const found = (family: 4 | 6) => removals(nl, family, chains(family), which, keys);
    const [v4, v6] = [found(4), found(6)];
    const changes = [...forGood(nl, 4, v4, which), ...forGood(nl, 6, v6, which)];
    // Should it be refused because a chain is still in use: somebody deleted rules by hand, and their keys are left.
    keys = 'all';
    transaction(nl, changes);
    return { 4: v4.ports, 6: v6.ports };
  });
}

interface Removals {
  readonly changes: readonly Change[];
  /** What loses its rules. */
  readonly ports: HostPort[];
  readonly chainsLess: number;
}

function removals(
  nl: Netlink,
  family: 4 | 6,
  chains: readonly string[],
  which: (one: ListedRule) => boolean,
  keys: 'ofRules' | 'all' = 'ofRules',
): Removals {
  const { table, dnat: to, masq } = objects(family);
  const changes: Change[] = [];
  const ports: HostPort[] = [];
  let chainsLess = 0;
  for (const name of chains) {
    const rules = listRules(nl, table, name);
    const going = rules.filter(which);
    const emptied =
      going.length === rules.length && (rules.length > 0 || findChain(nl, { table, name }) !== undefined);
    if (!going.length && !emptied) continue;
    const maps = name.startsWith('dnat-') ? to : masq;
    const redirects = maps === to ? rules : listRules(nl, table, name.replace(/^masq-/, 'dnat-'));
    const lost = portsOf(redirects.filter(which));
    if (maps === to) ports.push(...lost);
    const staying = portsOf(redirects.filter((one) => !which(one)));
    const candidates = keys === 'all' || !rules.length ? keysTo(nl, maps, name) : lost;
    changes.push(
      ...changeKeys(
        deleteElements,
        maps,
        candidates.filter(
          (port) =>
            !staying.some((one) => samePort(one, port)) &&
            findElement(nl, ...lookup(maps, port))?.jump === name,
        ),
        name,
      ),
      ...going.map((one) => deleteRule(table, one)),
    );
    if (!emptied) continue;
    changes.push(deleteChain({ table, name }));
    chainsLess++;
  }
  return { changes, ports, chainsLess };
}

/** Every key that leads to a chain: a list of our own mappings, so only for when its rules do not tell. */
function keysTo(nl: Netlink, maps: Maps, chain: string): HostPort[] {
  return [maps.byAddress, maps.byPort].flatMap((map) =>
    listElements(nl, map).flatMap(({ key, jump: to }) => (to === chain ? [portOfKey(key)] : [])),
  );
}

/** A removal after which nothing may be left of us: also the reference's rules, and the table with its last user. */
function forGood(
  nl: Netlink,
  family: 4 | 6,
  { changes, ports, chainsLess }: Removals,
  which: (one: ListedRule) => boolean,
): Change[] {
  const { table, dnat: to, masq, hostports, hostipHostports, masquerading } = objects(family);
  const all = [...changes];
  for (const { name } of [hostports, hostipHostports, masquerading]) {
    const going = listRules(nl, table, name).filter(which);
    ports.push(...portsOf(going));
    all.push(...going.map((one) => deleteRule(table, one)));
  }
  if (!all.length) return [];
  // The kernel counts what is in the table, so others' mappings need not be listed.
  const withMasquerading = hasSet(nl, masq.byPort);
  const ours = plumbing(family, withMasquerading);
  const maps = [to, ...(withMasquerading ? [masq] : [])].flatMap(({ byAddress, byPort }) => [
    byAddress,
    byPort,
  ]);
  if (countObjects(nl, table) !== ours.length + maps.length + chainsLess) return all;
  const unused = ours.every(([chain, rules]) =>
    listRules(nl, table, chain.name).every(
      (one) => which(one) || rules.some((known) => sameRule(table.family, known, one)),
    ),
  );
  return unused ? [deleteTable(table)] : all;
}

/**
 * A rule of the reference's for this container. It names neither network nor interface, so the container's address
 * has to tell, where it is known.
 */
function isReferences(one: ListedRule, containerId: string, addresses: readonly Ip[] | undefined): boolean {
  if (one.comment !== containerId) return false;
  if (!addresses?.length || one.chain === 'hostip_hostports') return true;
  const values = one.expressions.flatMap((part) => {
    const value = dataOf(part, 'immediate')?.data?.value ?? dataOf(part, 'cmp')?.data?.value;
    return value ? [value] : [];
  });
  return addresses.some(({ bytes }) => values.some((value) => Buffer.compare(value, bytes) === 0));
}

/** What is missing or different, in words. */
export function nftablesDifferences(nl: Netlink, plan: Plan): string[] {
  return wantedOf(plan).flatMap((wanted) => differences(nl, plan.owner, wanted));
}

function differences(nl: Netlink, owner: Owner, wanted: Wanted): string[] {
  const { table, dnat: to, masq } = objects(wanted.family);
  const names = nftChains(owner.containerId);
  const where = `of table ${table.family} ${table.name}`;
  const masquerades = wanted.masquerade.length > 0;
  const drift: string[] = [];
  for (const [chain, rules] of plumbing(wanted.family, masquerades)) {
    const there = listRules(nl, table, chain.name);
    for (const one of rules) {
      if (!there.some((listed) => sameRule(table.family, one, listed))) {
        drift.push(`rule "${one.text}" is missing in chain ${chain.name} ${where}`);
      }
    }
    if (chain.base && !findChain(nl, chain)?.base) drift.push(`chain ${chain.name} ${where} has no hook`);
  }
  const parts: [string, string, Maps, readonly Rule[]][] = [['hostports', names.dnat, to, wanted.dnat]];
  if (masquerades) parts.push(['masquerading', names.masquerade, masq, wanted.masquerade]);
  for (const [kind, name, maps, rules] of parts) {
    const mine = listRules(nl, table, name).filter(tagged(owner));
    for (const one of rules) {
      if (!mine.some((listed) => sameRule(table.family, one, listed))) {
        drift.push(
          `missing ${kind === 'hostports' ? 'hostport' : kind} rules in "${kind}" chain: rule "${one.text}" is not in ${name} ${where}`,
        );
      }
    }
    for (const listed of mine) {
      if (!rules.some((one) => sameRule(table.family, one, listed))) {
        drift.push(
          `rule handle ${listed.handle} in chain ${name} ${where} is none of this attachment's, but has its comment`,
        );
      }
    }
    for (const port of wanted.ports) {
      const found = findElement(nl, ...lookup(maps, port))?.jump;
      if (found !== name) {
        const leads = found === undefined ? 'leads nowhere' : `leads to chain ${found}`;
        drift.push(
          `missing hostport rules in "hostports" chain: ${hostPortText(port)} ${leads} in map ${mapFor(maps, port).name} ${where}`,
        );
      }
    }
  }
  return drift;
}

function mapFor(maps: Maps, { address }: HostPort): NftSet {
  return address ? maps.byAddress : maps.byPort;
}

function keyOf({ address, protocol, port }: HostPort): unknown[] {
  return address ? [address, protocol, port] : [protocol, port];
}

function portOfKey(key: readonly unknown[]): HostPort {
  // reason: keys are read by the types of the map's declaration
  const [address, protocol, port] = (key.length === 3 ? key : [undefined, ...key]) as [
    Ip | undefined,
    Protocol,
    number,
  ];
  return { address, protocol, port };
}

/** Map and key of a port, to be spread into a look-up. */
function lookup(maps: Maps, port: HostPort): [NftSet, unknown[]] {
  return [mapFor(maps, port), keyOf(port)];
}

/** Adds or deletes the keys of these ports: one change per map, none for none. */
function changeKeys(
  make: (set: NftSet, elements: readonly Element[]) => Change,
  maps: Maps,
  ports: readonly HostPort[],
  chain: string,
): Change[] {
  return [maps.byAddress, maps.byPort].flatMap((map) => {
    const elements = ports
      .filter((port) => mapFor(maps, port) === map)
      .map((port) => ({ key: keyOf(port), jump: chain }));
    return elements.length ? [make(map, elements)] : [];
  });
}

function samePort(a: HostPort, b: HostPort): boolean {
  if (a.protocol !== b.protocol || a.port !== b.port) return false;
  return a.address && b.address ? equalIp(a.address, b.address) : a.address === b.address;
}

/** The ports that rules are about, each once. */
function portsOf(listed: readonly ListedRule[]): HostPort[] {
  const ports: HostPort[] = [];
  for (const { expressions } of listed) {
    const port = portOf(expressions);
    if (port && !ports.some((one) => samePort(one, port))) ports.push(port);
  }
  return ports;
}

/**
 * Reads a mapping's rule back, ours or the reference's: the values that destination address, protocol and port are
 * compared with. Conditions may compare the same fields, but they come later.
 */
function portOf(expressions: readonly Expression[]): HostPort | undefined {
  if (jumpTarget(expressions) !== undefined) return undefined;
  let protocol: Protocol | undefined;
  let port: number | undefined;
  let address: Ip | undefined;
  for (const [i, one] of expressions.entries()) {
    const comparison = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp');
    const value = comparison?.op === '==' ? comparison.data?.value : undefined;
    if (!value) continue;
    const payload = dataOf(one, 'payload');
    if (dataOf(one, 'meta')?.key === 16) protocol ??= protocolOf(value[0]);
    else if (payload?.base === 'transport' && payload.offset === 2 && payload.length === 2) {
      port ??= ((value[0] ?? 0) << 8) | (value[1] ?? 0);
    } else if (i === 0 && payload?.base === 'network' && payload.offset === 16 && value.length === 4) {
      address = { family: 4, bytes: value };
    } else if (i === 0 && payload?.base === 'network' && payload.offset === 24 && value.length === 16) {
      address = { family: 6, bytes: value };
    }
  }
  return protocol && port !== undefined ? { protocol, port, address } : undefined;
}

function protocolOf(number: number | undefined): Protocol | undefined {
  return (Object.keys(protocols) as Protocol[]).find((name) => protocols[name] === number); // reason: the table's own keys
}
