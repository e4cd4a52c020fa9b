import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import { readChains } from '@cni-ts/iptables/chain-rules';
import { familiesWith, type Jump, listJumps, removeChains } from '@cni-ts/iptables/jump';
import { applyNatively, isNft, type NewRule, nativeAdditions } from '@cni-ts/iptables/native-rule';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, findVariant, IptablesError, type Variant } from '@cni-ts/iptables/program';
import {
  appendRule,
  createChain,
  deleteRule,
  type IptablesChange,
  resetChain,
  restore,
} from '@cni-ts/iptables/restore';
import { type SavedRule, type SavedTable, save } from '@cni-ts/iptables/save';
import { joinWords, wordAfter } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainQuestion } from '@cni-ts/nftables/chain';
import { ask } from '@cni-ts/nftables/question';
import type { Owner as MasqueradeOwner } from '@cni-ts/skeleton/owner-comment';
import { tryEach } from '@cni-ts/spec/failing';
import { isAnothers, networkStart, ownerNames } from './iptables-owner.ts';
import { masqueradeChain, masqueradeChains, spareMasqueradeChain } from './masquerade-chains.ts';

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

/** iptables takes 255 bytes; a longer one is cut, since its chain names the owner anyway. */
export function iptablesComment(network: string, containerId: string): string {
  const whole = ownerNames({ network, containerId });
  return whole.length <= 255 ? whole : `${whole.slice(0, 252)}...`;
}

interface Names {
  readonly chain: string;
  readonly comment: readonly string[];
}

function namesOf(
  { network, containerId }: MasqueradeOwner,
  chain = masqueradeChain(network, containerId),
): Names {
  return { chain, comment: ['-m', 'comment', '--comment', iptablesComment(network, containerId)] };
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
  for (const fresh of wanted) {
    const { family, own } = fresh;
    if (done.includes(family)) continue;
    try {
      restore(family, { nat: creating(names, fresh) });
    } catch (error) {
      if (!(error instanceof IptablesError) || error.status === undefined) throw error;
      const there = save(family, 'nat');
      if (!there.chains.includes(names.chain)) throw error;
      const free = namesOf(owner, freeChain(there, owner));
      const changes = there.chains.includes(free.chain)
        ? completing(family, free, own, there)
        : creating(free, freshRules(family, free, own));
      restore(family, { nat: changes });
    }
  }
}

function creating({ chain: own }: Names, { rules }: Fresh): IptablesChange[] {
  return [createChain(own), ...rules.map(({ chain, words }) => appendRule(chain, words))];
}

/** The usual chain, unless what leads there names somebody else. */
function freeChain(there: SavedTable, owner: MasqueradeOwner): string {
  const { network, containerId } = owner;
  const usual = masqueradeChain(network, containerId);
  const taken = jumpsTo(there, usual).some(({ words }) => isAnothers(wordAfter(words, '--comment'), owner));
  return taken ? spareMasqueradeChain(network, containerId) : usual;
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
 * and with them the chain. iptables-nft's rules go by netlink; without rules no program is started, and one message to
 * the kernel tells that there are none.
 */
export function removeByIptables(nl: Netlink, owner: MasqueradeOwner, addresses?: readonly Cidr[]): void {
  const isOthers = ({ comment }: Jump) => isAnothers(comment, owner);
  tryEach(familiesWith(nl, 'nat', masqueradeChains(owner)), ({ family, chains }) => {
    const staying = addresses
      ? listJumps(nl, family, 'nat', parent, chains).filter(
          (jump) => !isOthers(jump) && !isAmong(jump, addresses),
        )
      : [];
    const kept = unique(staying.map(({ to }) => to));
    for (const chain of kept) {
      for (const variant of unique(staying.flatMap((jump) => (jump.to === chain ? [jump.variant] : [])))) {
        shrink(family, variant, chain, addresses ?? []);
      }
    }
    const gone = chains.filter((chain) => !kept.includes(chain));
    removeChains(nl, family, 'nat', gone, [parent], isOthers);
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
  const usual = masqueradeChain(owner.network, owner.containerId);
  const spare = spareMasqueradeChain(owner.network, owner.containerId);
  const found: string[] = [];
  const about = new TextEncoder().encode(iptablesComment(owner.network, owner.containerId));
  for (const family of families) {
    const own = addresses.filter(({ ip }) => ip.family === family);
    if (!own.length) continue;
    const program = family === 4 ? 'iptables' : 'ip6tables';
    const there = readChains(nl, family, 'nat', [parent, usual, spare], [about]);
    const names = namesOf(owner, jumpsTo(there, spare).length ? spare : usual);
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
  const keep = new Set(valid.map(({ containerId }) => iptablesComment(network, containerId)));
  const prefix = networkStart(network);
  for (const family of families) {
    const stale = listJumps(nl, family, 'nat', parent).filter(({ to, comment }) => {
      if (!comment?.startsWith(prefix) || keep.has(comment)) return false;
      const containerId = comment.slice(prefix.length, -1);
      return masqueradeChains({ network, containerId }).includes(to) || comment.endsWith('...');
    });
    const isOthers = ({ comment }: Jump) => !comment?.startsWith(prefix) || keep.has(comment);
    removeChains(nl, family, 'nat', unique(stale.map(({ to }) => to)), [parent], isOthers);
  }
}

function jumpsTo(there: Pick<SavedTable, 'rules'>, chain: string): SavedRule[] {
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
