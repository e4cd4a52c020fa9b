import { formatCidr, networkOf } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { type ChainRules, readChains } from '@cni-ts/iptables/chain-rules';
import {
  chainVariants,
  familiesWith,
  type Jump,
  leadsElsewhere,
  listJumps,
  removeChains,
} from '@cni-ts/iptables/jump';
import { applyNatively, type NewRule, nativeAdditions } from '@cni-ts/iptables/native-rule';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import {
  type Family,
  IptablesError,
  programName,
  requireProgram,
  runProgram,
  type Variant,
  variantOf,
} from '@cni-ts/iptables/program';
import { appendRule, createChain, type IptablesChange, insertRule, restore } from '@cni-ts/iptables/restore';
import { joinWords, wordAfter } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { findChain } from '@cni-ts/nftables/chain';
import { NftablesError } from '@cni-ts/nftables/transaction';
import { isAnothers } from '@cni-ts/rules/iptables-owner';
import { failing, tryEach } from '@cni-ts/spec/failing';
import type { Holder } from './holder.ts';
import { type NatTable, natTable } from './iptables-chains.ts';
import { type HostPort, type Mapping, overlaps } from './mapping.ts';
import { loopback6 } from './nftables-table.ts';
import {
  chainComment,
  iptablesChain,
  iptablesComment,
  iptablesCommentStart,
  type Owner,
  oldIptablesChain,
  readIptablesComment,
  referenceChain,
  spareIptablesChain,
  usualInterface,
} from './owner.ts';
import type { Plan, Target } from './plan.ts';
import type { Redirection, Removed } from './stale-flows.ts';

/**
 * Port mappings in iptables' nat table, with the reference's names and rules: entry rules in CNI-HOSTPORT-DNAT, which
 * sees only packets for an address of this host, lead to a chain per attachment, which marks what has to be
 * masqueraded and redirects.
 */
const families: readonly Family[] = [4, 6];
const entries = 'CNI-HOSTPORT-DNAT';
const setMark = 'CNI-HOSTPORT-SETMARK';
const masq = 'CNI-HOSTPORT-MASQ';
/** Of old versions of the reference. */
const oldEntries = 'CNI-HOSTPORT-SNAT';
/** What one multiport match can hold. */
const portsPerRule = 15;

/** Rules that all attachments of a family share. `mark`: recognised by the mark in it; else by where it leads. */
interface SharedRule extends NewRule {
  readonly leadsTo: string;
  readonly mark?: number;
  /** The reference has no such rule, so CHECK does not miss it. */
  readonly ours?: boolean;
}

/** The chain that marks packets to be masqueraded; undefined when none are. */
function markChain({ snat, externalSetMarkChain }: Plan): string | undefined {
  if (!snat) return undefined;
  return externalSetMarkChain || setMark;
}

function sharedRules(plan: Plan, family: Family): SharedRule[] {
  const local = ['-m', 'addrtype', '--dst-type', 'LOCAL', '-j', entries];
  const top: SharedRule[] = [
    ...(family === 6
      ? [
          {
            chain: entries,
            words: ['-d', formatCidr({ ip: loopback6, prefix: 128 }), '-j', 'RETURN'],
            leadsTo: 'RETURN',
            first: true,
            ours: true,
          },
        ]
      : []),
    { chain: 'PREROUTING', words: local, leadsTo: entries },
    { chain: 'OUTPUT', words: local, leadsTo: entries },
  ];
  if (markChain(plan) !== setMark) return top;
  const { mark } = plan;
  const text = `0x${mark.toString(16)}/0x${mark.toString(16)}`;
  const comment = (words: string) => ['-m', 'comment', '--comment', words];
  return [
    {
      chain: setMark,
      words: [...comment('CNI portfwd masquerade mark'), '-j', 'MARK', '--set-xmark', text],
      leadsTo: 'MARK',
      mark,
    },
    { chain: masq, words: ['-m', 'mark', '--mark', text, '-j', 'MASQUERADE'], leadsTo: 'MASQUERADE', mark },
    {
      chain: 'POSTROUTING',
      words: [...comment('CNI portfwd requiring masquerade'), '-j', masq],
      leadsTo: masq,
      // Before others' masquerading, which would hide that the source has to change.
      first: true,
    },
    ...top,
  ];
}

/** Protocols in order, fifteen ports a rule; ports of mappings for the other family stand there as well. */
function entryRules({ owner, mappings }: Plan, conditions: readonly string[], chain: string): NewRule[] {
  const rules: NewRule[] = [];
  for (const protocol of ['sctp', 'tcp', 'udp'] as const) {
    const ports = mappings.filter((one) => one.protocol === protocol).map(({ port }) => port);
    for (let at = 0; at < ports.length; at += portsPerRule) {
      rules.push({
        chain: entries,
        words: [
          ...['-p', protocol, '-m', 'comment', '--comment', iptablesComment(owner)],
          ...['-m', 'multiport', '--dports', ports.slice(at, at + portsPerRule).join(',')],
          ...conditions,
          ...['-j', chain],
        ],
      });
    }
  }
  return rules;
}

function chainRules(plan: Plan, { address, mappings }: Target, chain: string): NewRule[] {
  const marking = markChain(plan);
  const { family } = address.ip;
  return mappings.flatMap((mapping) => {
    const base = [
      ...destination(mapping),
      '-p',
      mapping.protocol,
      '-m',
      mapping.protocol,
      '--dport',
      String(mapping.port),
    ];
    const container = family === 4 ? formatIp(address.ip) : `[${formatIp(address.ip)}]`;
    const rules = [[...base, '-j', 'DNAT', '--to-destination', `${container}:${mapping.containerPort}`]];
    if (marking) rules.unshift(...marked(plan, address).map((source) => [...source, ...base, '-j', marking]));
    return rules.map((words) => ({ chain, words }));
  });
}

/** The container and its neighbours, whose answers would go to them directly, and the host talking to 127.0.0.1. */
function marked({ masqAll }: Plan, address: Target['address']): string[][] {
  if (masqAll) return [[]];
  const own = ['-s', formatCidr(networkOf(address))];
  return address.ip.family === 4 ? [own, ['-s', '127.0.0.1/32']] : [own];
}

function destination({ address }: Mapping): string[] {
  return address ? ['-d', formatCidr({ ip: address, prefix: address.bytes.length * 8 })] : [];
}

/** The kind of tables that the iptables in PATH writes to. */
export function variantFor(family: Family): Variant {
  return variantOf(requireProgram(programName(family, 'restore'))) ?? 'legacy';
}

/** Throws before anything is changed when a program is missing: `failed to open iptables: …`. */
export function requireIptables(needed: readonly Family[]): void {
  try {
    for (const family of needed) requireProgram(programName(family, 'restore'));
  } catch (error) {
    throw new Error(`failed to open iptables: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

/**
 * Adds or replaces an attachment's mappings: one transaction for both families, or where that is not possible one
 * iptables-restore per family. `undone` is told before each step how to take it back. Whether the attachment had none
 * before.
 */
export function addToIptables(nl: Netlink, plan: Plan, undone: (step: () => void) => void): boolean {
  let fresh = true;
  const begin = (family: Family) => undone(() => void removeFamily(nl, family, plan.owner));
  try {
    const done = addNatively(nl, plan, begin);
    for (const target of plan.targets) {
      const { family } = target.address.ip;
      if (done.includes(family)) continue;
      begin(family);
      fresh = addFamily(nl, plan, target) && fresh;
    }
  } catch (error) {
    throw new Error(`unable to setup DNAT: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  // An ADD repeated may have had mappings for the other family before.
  const others = families.filter(
    (family) => !plan.targets.some(({ address }) => address.ip.family === family),
  );
  for (const { family, chains } of familiesWith(nl, 'nat', ownChains(plan.owner), others)) {
    removeFamily(nl, family, plan.owner, chains);
  }
  return fresh;
}

/**
 * Where iptables-nft has its built-in chains, and nothing of this attachment yet, its rules are written without a
 * process. Returns the families that are done.
 */
function addNatively(nl: Netlink, plan: Plan, begin: (family: Family) => void): Family[] {
  const names = chainNames(plan.owner);
  const possible = plan.targets.flatMap((target) => {
    const { family } = target.address.ip;
    if (variantFor(family) !== 'nft') return [];
    const shared = sharedRules(plan, family);
    const nat = natTable(nl, family, 'nft', chainsToRead(shared, names));
    const [chain, known] = findOwnChain(nat, plan.owner, names);
    if (known) return [];
    if (!shared.every((rule) => rule.chain.startsWith('CNI-') || nat.has(rule.chain))) return [];
    const { chains, rules } = additions(plan, target, chain, nat);
    const changes = nativeAdditions(family, 'nat', chains, rules, { [chain]: chainComment(plan.owner) });
    return changes ? [{ family, changes }] : []; // none: conditions that only the program understands
  });
  for (const { family } of possible) begin(family);
  return applyNatively(nl, possible);
}

/** The names that an attachment's chain may have: see owner.ts. */
interface ChainNames {
  readonly usual: string;
  readonly spare: string;
}

function chainNames(owner: Owner): ChainNames {
  return { usual: iptablesChain(owner), spare: spareIptablesChain(owner) };
}

function chainsToRead(shared: readonly SharedRule[], { usual, spare }: ChainNames): string[] {
  return [...new Set([usual, spare, entries, ...shared.map((rule) => rule.chain)])];
}

/** An attachment's chain, there or to be made, and whether it is there. */
function findOwnChain(nat: NatTable, owner: Owner, { usual, spare }: ChainNames): [string, boolean] {
  if (!nat.has(usual)) return [usual, nat.has(spare)];
  // The chain of somebody whose names run together to the same, if what leads there says so.
  const leading = nat.rules(entries, [new TextEncoder().encode(usual)]);
  const taken = leading.some(({ target, comment }) => target === usual && isAnothers(comment, owner));
  return taken ? [spare, nat.has(spare)] : [usual, true];
}

const attempts = 4;

function addFamily(nl: Netlink, plan: Plan, target: Target): boolean {
  const { family } = target.address.ip;
  const names = chainNames(plan.owner);
  let fresh = true;
  for (let attempt = 1; ; attempt++) {
    const expected = chainsToRead(sharedRules(plan, family), names);
    const nat = natTable(nl, family, variantFor(family), expected);
    const [chain, known] = findOwnChain(nat, plan.owner, names);
    if (known && attempt < attempts) {
      // An ADD repeated, perhaps with other ports: what it had before goes first.
      removeFamily(nl, family, plan.owner);
      fresh = false;
      continue;
    }
    try {
      restore(family, { nat: changes(additions(plan, target, chain, nat)) });
      return fresh;
    } catch (error) {
      // Somebody else made one of the shared chains meanwhile: nothing is done yet, so look again.
      const raced = error instanceof IptablesError && /exists/i.test(error.message);
      if (!raced || attempt === attempts) throw error;
    }
  }
}

interface Additions {
  readonly chains: readonly string[];
  readonly rules: readonly NewRule[];
}

/** The attachment's chain and rules, and what is missing of what all share. */
function additions(plan: Plan, target: Target, chain: string, nat: NatTable): Additions {
  const shared = sharedRules(plan, target.address.ip.family);
  const ours = [...shared.map((rule) => rule.chain), entries].filter((name) => name.startsWith('CNI-'));
  return {
    chains: [...new Set(ours)].filter((name) => !nat.has(name)).concat(chain),
    rules: [...shared.filter((rule) => !isThere(rule, nat)), ...ownRules(plan, target, chain)],
  };
}

function changes({ chains, rules }: Additions): IptablesChange[] {
  return [
    ...chains.map(createChain),
    ...rules.map(({ chain, words, first }) => (first ? insertRule : appendRule)(chain, words)),
  ];
}

function ownRules(plan: Plan, target: Target, chain: string): NewRule[] {
  const conditions = plan.conditions[target.address.ip.family];
  return [...chainRules(plan, target, chain), ...entryRules(plan, conditions, chain)];
}

function isThere({ chain, leadsTo, mark }: SharedRule, nat: NatTable): boolean {
  // A chain is named in the rule that leads there; a target of iptables' own need not be.
  if (leadsTo.startsWith('CNI-')) return nat.leads(chain, leadsTo);
  return nat.rules(chain).some((one) => one.target === leadsTo && (mark === undefined || one.mentions(mark)));
}

/**
 * Who else has one of these ports, by the entry rules and the chains they lead to. Only reads the kernel's own
 * tables, unless the older tables are what this host uses.
 */
export function iptablesHolder(
  nl: Netlink,
  owner: Owner,
  family: Family,
  ports: readonly HostPort[],
  variant: Variant,
): Holder | undefined {
  const nat = natTable(nl, family, variant);
  for (const entry of nat.rules(entries, ports.flatMap(portBytes))) {
    const theirs = readIptablesComment(entry.comment);
    if (entry.comment === iptablesComment(owner)) continue;
    if (theirs?.containerId === owner.containerId || !entry.target?.startsWith('CNI-DN-')) continue;
    if (!ports.some((one) => entry.ports.some((other) => overlaps(one, other)))) continue;
    for (const rule of nat.rules(entry.target)) {
      const port = ports.find((one) => rule.ports.some((other) => overlaps(one, other)));
      if (port && rule.target === 'DNAT') {
        return {
          port,
          containerId: theirs?.containerId ?? 'unknown',
          more: `net: ${theirs?.network ?? 'unknown'}, chain ${entry.target}`,
        };
      }
    }
  }
  return undefined;
}

/** As extensions of iptables have a port in their structures, and as nftables compares it with the packet's. */
function portBytes({ port }: HostPort): Uint8Array[] {
  const [high, low] = [port >> 8, port & 0xff];
  return [Uint8Array.of(low, high), Uint8Array.of(high, low)];
}

/**
 * Takes an attachment's mappings away, found by its names alone, in both kinds of tables; rules of iptables-nft go
 * without a program, and none that name somebody else. With the last mapping of a family go the chains that all share.
 * What the reference made for another interface than eth0 is known by `addresses`, those of the container.
 */
export function removeFromIptables(nl: Netlink, owner: Owner, addresses: readonly Ip[] = []): Removed {
  const removed: Removed = { 4: [], 6: [] };
  const reference = addresses.length ? referenceChain(owner) : undefined;
  const names = reference === undefined ? ownChains(owner) : [...ownChains(owner), reference];
  tryEach(familiesWith(nl, 'nat', names), ({ family, chains }) => {
    const own = chains.filter((name) => name !== reference || leadsTo(nl, family, name, addresses));
    removed[family] = failing(`could not teardown ipv${family} dnat`, () =>
      removeFamily(nl, family, owner, own),
    );
  });
  return removed;
}

/** Whether a chain redirects, and to these addresses alone. */
function leadsTo(nl: Netlink, family: Family, chain: string, addresses: readonly Ip[]): boolean {
  const rules = chainVariants(nl, family, 'nat', chain).flatMap((variant) =>
    natTable(nl, family, variant).rules(chain),
  );
  const ports = rules.flatMap((rule) => (rule.target === 'DNAT' ? rule.ports : []));
  return ports.length > 0 && ports.every(({ to }) => addresses.some((one) => to && equalIp(one, to)));
}

function removeFamily(
  nl: Netlink,
  family: Family,
  owner: Owner,
  chains: readonly string[] = ownChains(owner),
): Redirection[] {
  return removeOwn(nl, family, chains, ({ comment }) => isAnothers(comment, owner));
}

function ownChains(owner: Owner): string[] {
  return [iptablesChain(owner), spareIptablesChain(owner), oldIptablesChain(owner)];
}

function removeOwn(
  nl: Netlink,
  family: Family,
  chains: readonly string[],
  isOthers: (jump: Jump) => boolean,
): Redirection[] {
  const leading = listJumps(nl, family, 'nat', entries, chains);
  const spared = leading.filter(isOthers).map(({ to }) => to);
  const own = chains.filter((chain) => !spared.includes(chain));
  const ports = [...new Set(leading.map(({ variant }) => variant))].flatMap((variant) => {
    const nat = natTable(nl, family, variant);
    return own.flatMap((chain) =>
      nat.rules(chain).flatMap((rule) => (rule.target === 'DNAT' ? rule.ports : [])),
    );
  });
  const parents = [entries, oldEntries];
  if (leading.length && !leadsElsewhere(nl, family, 'nat', entries, 'CNI-', own)) {
    try {
      const shared = [entries, oldEntries, setMark, masq];
      removeChains(
        nl,
        family,
        'nat',
        [...chains, ...shared],
        [...parents, 'PREROUTING', 'OUTPUT', 'POSTROUTING'],
      );
      return ports;
    } catch (error) {
      // Somebody else's rules lead to a shared chain: then it stays.
      if (!isInUse(error)) throw error;
    }
  }
  removeChains(nl, family, 'nat', chains, parents, isOthers);
  return ports;
}

function isInUse(error: unknown): boolean {
  if (error instanceof NftablesError) return error.code === 'EBUSY';
  return error instanceof IptablesError && /busy|too many links|in use|not empty/i.test(error.message);
}

/** Removes the mappings of this network's attachments that are not valid any more. */
export function gcIptables(nl: Netlink, network: string, valid: readonly Omit<Owner, 'network'>[]): Removed {
  const removed: Removed = { 4: [], 6: [] };
  for (const family of families) {
    const jumps = listJumps(nl, family, 'nat', entries);
    const start = iptablesCommentStart(network);
    const stale = staleChains(nl, family, jumps, network, valid);
    const isOthers = ({ comment }: Jump) => comment !== undefined && !comment.startsWith(start);
    if (stale.length) removed[family] = removeOwn(nl, family, stale, isOthers);
  }
  return removed;
}

function staleChains(
  nl: Netlink,
  family: Family,
  jumps: readonly Jump[],
  network: string,
  valid: readonly Omit<Owner, 'network'>[],
): string[] {
  const owners = valid.map((one) => ({ network, ...one }));
  const keep = new Set(owners.flatMap((one) => [iptablesChain(one), spareIptablesChain(one)]));
  const there = new Set(jumps.map(({ to }) => to));
  // The reference names no interface: such a chain may be that of a valid one other than eth0, unless it has its own
  // or the chain says that it is ours for eth0.
  for (const one of owners) {
    const usual = { ...one, ifname: usualInterface };
    const chain = iptablesChain(usual);
    if (keep.has(chain) || !there.has(chain)) continue;
    if (there.has(iptablesChain(one)) || there.has(spareIptablesChain(one))) continue;
    const known = findChain(nl, { table: iptablesNftTable(family, 'nat'), name: chain });
    if (known?.comment !== chainComment(usual)) keep.add(chain);
  }
  const start = iptablesCommentStart(network);
  const stale = jumps.filter(({ to, comment }) => comment?.startsWith(start) && !keep.has(to));
  return [...new Set(stale.map(({ to }) => to))];
}

/** What is missing or different, in words. A program is started where iptables is of the older kind, and for conditions. */
export function iptablesDifferences(nl: Netlink, plan: Plan): string[] {
  return plan.targets.flatMap((target) => differences(nl, plan, target));
}

function differences(nl: Netlink, plan: Plan, target: Target): string[] {
  const { family } = target.address.ip;
  const what = `could not check ipv${family} dnat`;
  const shared = sharedRules(plan, family);
  const reference = referenceChain(plan.owner);
  const names = chainsToRead(shared, chainNames(plan.owner));
  const there = readChains(nl, family, 'nat', reference === undefined ? names : [...names, reference]);
  const chain = chainOf(there, plan.owner);
  if (!there.chains.includes(chain)) return [`${what}: chain ${chain} not found in iptables table nat`];
  const textsOf = (name: string) =>
    there.rules.filter((rule) => rule.chain === name).map((rule) => rule.text);
  const drift: string[] = [];
  const missing = (name: string, all: readonly NewRule[]) => {
    const dump = all.map(({ words }) => `[${words.join(' ')}]`).join(' ');
    drift.push(`${what}: rule [${dump}] in chain ${name} not found in table nat`);
  };

  const own = chainRules(plan, target, chain);
  const ownTexts = own.map(({ words }) => joinWords(words));
  const found = textsOf(chain);
  if (ownTexts.some((text) => !found.includes(text))) missing(chain, own);
  else if (ownTexts.join('\n') !== found.join('\n')) {
    drift.push(`${what}: chain ${chain} has rules that are not this attachment's, or in another order`);
  }
  const conditions = plan.conditions[family];
  const lead = entryRules(plan, conditions, chain);
  const entryTexts = textsOf(entries);
  const entryThere = (rule: NewRule) =>
    conditions.length ? iptablesHas(family, rule) : entryTexts.includes(joinWords(rule.words));
  const gone = lead.filter((rule) => !entryThere(rule));
  if (gone.length) missing(entries, gone);
  for (const rule of shared) {
    if (!rule.ours && !textsOf(rule.chain).includes(joinWords(rule.words))) missing(rule.chain, [rule]);
  }
  return drift;
}

/** The same as `findOwnChain`, of what iptables lists. */
function chainOf(there: ChainRules, owner: Owner): string {
  const { usual, spare } = chainNames(owner);
  const isOthers = there.rules.some(
    ({ chain, words }) =>
      chain === entries &&
      wordAfter(words, '-j') === usual &&
      isAnothers(wordAfter(words, '--comment'), owner),
  );
  const has = (name: string) => there.chains.includes(name);
  if (isOthers || (!has(usual) && has(spare))) return spare;
  const reference = referenceChain(owner);
  return !has(usual) && reference !== undefined && has(reference) ? reference : usual;
}

/** Conditions can be written in many ways, and only iptables knows that two of them mean the same. */
function iptablesHas(family: Family, { chain, words }: NewRule): boolean {
  try {
    runProgram(requireProgram(programName(family)), ['-t', 'nat', '-C', chain, ...words, '--wait']);
    return true;
  } catch (error) {
    if (error instanceof IptablesError && error.status !== undefined) return false;
    throw error;
  }
}
