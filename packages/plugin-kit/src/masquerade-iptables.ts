import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import { readChains } from '@cni-ts/netfilter/iptables/chain-rules';
import { type Jump, listJumps, removeChains } from '@cni-ts/netfilter/iptables/jump';
import { applyNatively, isNft, type NewRule, nativeAdditions } from '@cni-ts/netfilter/iptables/native-rule';
import { iptablesNftTable } from '@cni-ts/netfilter/iptables/native-table';
import { type Family, findVariant, IptablesError, type Variant } from '@cni-ts/netfilter/iptables/program';
import {
  appendRule,
  createChain,
  deleteRule,
  type IptablesChange,
  resetChain,
  restore,
} from '@cni-ts/netfilter/iptables/restore';
import { type SavedRule, type SavedTable, save } from '@cni-ts/netfilter/iptables/save';
import { joinWords, wordAfter } from '@cni-ts/netfilter/iptables/words';
import { chainQuestion } from '@cni-ts/netfilter/nftables/chain';
import { ask } from '@cni-ts/netfilter/nftables/question';
import type { Netlink } from '@cni-ts/netlink/socket';
import { tryEach } from './failing.ts';
import type { MasqueradeOwner } from './masquerade.ts';
import { hashedName } from './name-hash.ts';

/**
 * Masquerading by iptables, with the reference's names: a chain per container and network, which lets traffic to
 * the container's own subnets pass and masquerades the rest, and a rule in POSTROUTING per address that leads there.
 *
 * The interface is not in these names, so two interfaces of one container on one network share the chain. Where the
 * reference then fails ("chain is busy") or masquerades traffic between the container's own subnets, here the chain
 * always holds all subnets of the addresses that lead to it, the masquerade rule last, and it goes with the last one.
 */
const families: readonly Family[] = [4, 6];
const parent = 'POSTROUTING';
const multicast = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const;

export function masqueradeChain(network: string, containerId: string): string {
  return hashedName(28, 'CNI-', network + containerId);
}

/** iptables takes 255 bytes; a longer one is cut, since its chain names the owner anyway. */
export function iptablesComment(network: string, containerId: string): string {
  const whole = `name: "${network}" id: "${containerId}"`;
  return whole.length <= 255 ? whole : `${whole.slice(0, 252)}...`;
}

interface Names {
  readonly chain: string;
  readonly comment: readonly string[];
}

function namesOf({ network, containerId }: MasqueradeOwner): Names {
  const comment = ['-m', 'comment', '--comment', iptablesComment(network, containerId)];
  return { chain: masqueradeChain(network, containerId), comment };
}

function chainRules(family: Family, { comment }: Names, networks: readonly string[]): string[][] {
  return [
    ...networks.map((network) => ['-d', network, ...comment, '-j', 'ACCEPT']),
    ['!', '-d', multicast[family], ...comment, '-j', 'MASQUERADE'],
  ];
}

function jumpRule({ chain, comment }: Names, address: Cidr): string[] {
  return ['-s', sourceText(address), ...comment, '-j', chain];
}

function sourceText({ ip }: Cidr): string {
  return formatCidr({ ip, prefix: ip.bytes.length * 8 });
}

/** All that a container without any has in one family. */
interface Fresh {
  readonly family: Family;
  readonly own: readonly Cidr[];
  readonly rules: readonly NewRule[];
}

function freshRules(family: Family, names: Names, own: readonly Cidr[]): Fresh {
  const networks = unique(own.map((address) => formatCidr(networkOf(address))));
  const rules = [
    ...chainRules(family, names, networks).map((words) => ({ chain: names.chain, words })),
    ...own.map((address) => ({ chain: parent, words: jumpRule(names, address) })),
  ];
  return { family, own, rules };
}

/**
 * Usually one transaction for both families. Where iptables is of the older kind, or nobody has used its table yet,
 * one process per family makes chain and rules together. Only when the chain is there already (a second interface,
 * an ADD repeated) the table is read first, and what is missing is added.
 */
export function addByIptables(nl: Netlink, owner: MasqueradeOwner, addresses: readonly Cidr[]): void {
  const names = namesOf(owner);
  const wanted = families.flatMap((family) => {
    const own = addresses.filter(({ ip }) => ip.family === family);
    return own.length ? [freshRules(family, names, own)] : [];
  });
  const done = addNatively(nl, names.chain, wanted);
  for (const { family, own, rules } of wanted) {
    if (done.includes(family)) continue;
    const fresh = [createChain(names.chain), ...rules.map(({ chain, words }) => appendRule(chain, words))];
    try {
      restore(family, { nat: fresh });
    } catch (error) {
      if (!(error instanceof IptablesError) || error.status === undefined) throw error;
      const there = save(family, 'nat');
      if (!there.chains.includes(names.chain)) throw error;
      restore(family, { nat: completing(family, names, own, there) });
    }
  }
}

/** Without a process, in one transaction for the families where that is possible. Returns these. */
function addNatively(nl: Netlink, chain: string, wanted: readonly Fresh[]): Family[] {
  const known = wanted.flatMap(({ family, rules }) => {
    const changes = isNft(family) ? nativeAdditions(family, 'nat', [chain], rules) : undefined;
    return changes ? [{ family, changes }] : [];
  });
  const found = ask(
    nl,
    known.map(({ family }) =>
      [parent, chain].map((name) => chainQuestion({ table: iptablesNftTable(family, 'nat'), name })),
    ),
  );
  // Built-in chains are only there, and only right, once the program has been used.
  const possible = known.filter((_, i) => found[i]?.[0]?.base && !found[i][1]);
  return applyNatively(nl, possible);
}

/** What an existing chain lacks, keeping the subnets of addresses that lead there already. */
function completing(family: Family, names: Names, own: readonly Cidr[], there: SavedTable): IptablesChange[] {
  const jumps = jumpsTo(there, names.chain);
  const missing = own.filter((address) => !hasRule(there, parent, jumpRule(names, address)));
  const sources = [...own, ...jumps.flatMap((rule) => parseCidr(wordAfter(rule.words, '-s') ?? '') ?? [])];
  const networks = unique([
    ...acceptedNetworks(there, names.chain).filter((network) => leadsTo(network, sources)),
    ...own.map((address) => formatCidr(networkOf(address))),
  ]);
  return [
    ...chainAsWanted(there, names.chain, chainRules(family, names, networks)),
    ...missing.map((address) => appendRule(parent, jumpRule(names, address))),
  ];
}

function chainAsWanted(there: SavedTable, chain: string, wanted: readonly string[][]): IptablesChange[] {
  const now = there.rules.filter((rule) => rule.chain === chain).map((rule) => rule.text);
  if (now.join('\n') === wanted.map(joinWords).join('\n')) return [];
  return [resetChain(chain), ...wanted.map((words) => appendRule(chain, words))];
}

/**
 * Takes away what leads to the container's chain, and the chain. With `addresses`, rules of other addresses stay,
 * and with them the chain. iptables-nft's rules go by netlink; without rules no program is started.
 */
export function removeByIptables(nl: Netlink, owner: MasqueradeOwner, addresses?: readonly Cidr[]): void {
  const { chain } = namesOf(owner);
  tryEach(families, (family) => {
    const others = addresses
      ? listJumps(nl, family, 'nat', parent, [chain]).filter((jump) => !isAmong(jump, addresses))
      : [];
    for (const variant of unique(others.map((jump) => jump.variant))) {
      shrink(family, variant, chain, addresses ?? []);
    }
    if (!others.length) removeChains(nl, family, 'nat', [chain], [parent]);
  });
}

/** Removes some addresses of a chain that others still need. */
function shrink(family: Family, variant: Variant, chain: string, addresses: readonly Cidr[]): void {
  const there = save(family, 'nat', findVariant(family, 'save', variant));
  const jumps = jumpsTo(there, chain);
  const leaving = jumps.filter((rule) => isAmong({ source: sourceOf(rule) }, addresses));
  const staying = jumps.filter((rule) => !leaving.includes(rule)).flatMap((rule) => sourceOf(rule) ?? []);
  const useless = there.rules.filter((rule) => {
    const network = acceptedNetwork(rule, chain);
    return network !== undefined && !leadsTo(network, staying);
  });
  const changes = [...leaving, ...useless].map((rule) => deleteRule(rule.chain, rule.words));
  restore(family, { nat: changes }, findVariant(family, 'restore', variant));
}

export function differencesInIptables(
  nl: Netlink,
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
): string[] {
  const names = namesOf(owner);
  const found: string[] = [];
  const about = new TextEncoder().encode(iptablesComment(owner.network, owner.containerId));
  for (const family of families) {
    const own = addresses.filter(({ ip }) => ip.family === family);
    if (!own.length) continue;
    const program = family === 4 ? 'iptables' : 'ip6tables';
    const there = readChains(nl, family, 'nat', [parent, names.chain], [about]);
    const missing = (chain: string, words: readonly string[]) =>
      found.push(`rule "${joinWords(words)}" is missing in chain ${chain} of ${program}'s nat table`);
    if (!there.chains.includes(names.chain)) {
      found.push(`chain ${names.chain} is missing in ${program}'s nat table`);
      continue;
    }
    const networks = unique(own.map((address) => formatCidr(networkOf(address))));
    for (const words of chainRules(family, names, networks)) {
      if (!hasRule(there, names.chain, words)) missing(names.chain, words);
    }
    for (const address of own) {
      if (!hasRule(there, parent, jumpRule(names, address))) missing(parent, jumpRule(names, address));
    }
  }
  return found;
}

/**
 * Removes the chains of containers of this network that are not valid any more. They are known by the comment of
 * the rule that leads there, and trusted only when the chain's name follows from it.
 */
export function gcByIptables(
  nl: Netlink,
  network: string,
  valid: readonly { readonly containerId: string }[],
): void {
  const keep = new Set(valid.map(({ containerId }) => masqueradeChain(network, containerId)));
  const prefix = `name: "${network}" id: "`;
  for (const family of families) {
    const stale = listJumps(nl, family, 'nat', parent).filter(({ to, comment }) => {
      if (!comment?.startsWith(prefix) || keep.has(to)) return false;
      const containerId = comment.slice(prefix.length, -1);
      return to === masqueradeChain(network, containerId) || comment.endsWith('...');
    });
    removeChains(nl, family, 'nat', unique(stale.map(({ to }) => to)), [parent]);
  }
}

function jumpsTo(there: SavedTable, chain: string): SavedRule[] {
  return there.rules.filter((rule) => rule.chain === parent && wordAfter(rule.words, '-j') === chain);
}

function hasRule(there: SavedTable, chain: string, words: readonly string[]): boolean {
  const text = joinWords(words);
  return there.rules.some((rule) => rule.chain === chain && rule.text === text);
}

function acceptedNetworks(there: SavedTable, chain: string): string[] {
  return there.rules.flatMap((rule) => acceptedNetwork(rule, chain) ?? []);
}

function acceptedNetwork({ chain, words }: SavedRule, wanted: string): string | undefined {
  if (chain !== wanted || words[0] !== '-d' || wordAfter(words, '-j') !== 'ACCEPT') return undefined;
  return words[1];
}

function leadsTo(network: string, sources: readonly Cidr[]): boolean {
  const cidr = parseCidr(network);
  return cidr !== undefined && sources.some(({ ip }) => contains(cidr, ip));
}

function sourceOf(rule: SavedRule): Cidr | undefined {
  return parseCidr(wordAfter(rule.words, '-s') ?? '');
}

/** A rule whose source is one of the addresses, or (an old form) the subnet of one. A rule without is anybody's. */
function isAmong({ source }: Pick<Jump, 'source'>, addresses: readonly Cidr[]): boolean {
  if (source === undefined) return true;
  return addresses.some(({ ip }) =>
    source.prefix === ip.bytes.length * 8
      ? equalIp(source.ip, ip)
      : source.ip.family === ip.family && contains(source, ip),
  );
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
