import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, type Ip } from '@cni-ts/address/ip';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, IptablesError, type Variant } from '@cni-ts/iptables/program';
import {
  appendRule,
  type IptablesChange,
  resetChain,
  restore,
  retryOvertaken,
} from '@cni-ts/iptables/restore';
import { joinWords } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainQuestion } from '@cni-ts/nftables/chain';
import { ask } from '@cni-ts/nftables/question';
import { retryRaces } from '@cni-ts/nftables/transaction';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { tryEach } from '@cni-ts/spec/failing';
import {
  type ChainRule,
  type ChainRules,
  readChains,
  readLegacyChains,
  readNftChains,
} from './chain-rules.ts';
import {
  applyNatively,
  deleteChosen,
  isNft,
  nativeChanges,
  thereIn,
  wordChanges,
} from './iptables-engine.ts';
import { isAnothers, namingComment, namingNoneOf, readNamed } from './iptables-owner.ts';
import { familiesWith, type Jump, listJumps, removeChains } from './jump.ts';
import { masqueradeChains } from './masquerade-chains.ts';
import { ownChain } from './own-chain.ts';
import { holdsExactly, lacking, type RuleSet, stands } from './rule-set.ts';
import { accept, hostCidr, jump, masquerade, type RuleSpec } from './rule-spec.ts';
import { ruleWords } from './words-language.ts';

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
const encoder = new TextEncoder();
const multicast = { 4: parseCidr('224.0.0.0/4'), 6: parseCidr('ff00::/8') } as const;

/** The chain's rules, then those that lead there. `networks`: all that the chain must let pass. */
function setOf(
  family: Family,
  owner: Owner,
  chain: string,
  addresses: readonly Cidr[],
  networks: readonly Cidr[] = networksOf(addresses),
): RuleSet {
  const comment = namingComment(owner);
  const table = iptablesNftTable(family, 'nat');
  return {
    table,
    chains: [{ table, name: chain }],
    shared: [],
    own: [
      ...networks.map((to): RuleSpec => ({ chain, when: { to }, action: accept, comment })),
      { chain, except: { to: multicast[family] }, action: masquerade, comment },
      ...addresses.map(
        ({ ip }): RuleSpec => ({ chain: parent, when: { from: hostCidr(ip) }, action: jump(chain), comment }),
      ),
    ],
  };
}

/** Each once. */
function networksOf(addresses: readonly Cidr[]): Cidr[] {
  return [...new Map(addresses.map(networkOf).map((one) => [formatCidr(one), one])).values()];
}

interface Wanted {
  readonly family: Family;
  readonly addresses: readonly Cidr[];
  readonly set: RuleSet;
}

/**
 * Usually one transaction for both families. Where iptables is of the older kind, or nobody has used its table yet,
 * one process per family makes chain and rules together. Only when the chain is there already (a second interface,
 * an ADD repeated) the table is read first, and what is missing is added.
 */
export function addByIptables(nl: Netlink, owner: Owner, all: readonly Cidr[]): void {
  const { usual: chain } = masqueradeChains(owner);
  const wanted = families.flatMap((family): Wanted[] => {
    const addresses = all.filter(({ ip }) => ip.family === family);
    return addresses.length ? [{ family, addresses, set: setOf(family, owner, chain, addresses) }] : [];
  });
  const done = addNatively(nl, chain, wanted);
  for (const { family, addresses, set } of wanted) {
    if (done.includes(family)) continue;
    try {
      restore(family, { nat: creating(set) });
    } catch (error) {
      if (!(error instanceof IptablesError) || error.status === undefined) throw error;
      const { there, name, standing } = find(nl, owner, family);
      if (!there.chains.includes(chain)) throw error;
      const changes = standing.includes(name)
        ? completing(family, owner, name, addresses, there)
        : creating(setOf(family, owner, name, addresses));
      restore(family, { nat: changes });
    }
  }
}

/** The container's chain, and what stands in it and leads there. `about`: see readChains. */
function find(nl: Netlink, owner: Owner, family: Family, about?: readonly Uint8Array[]) {
  const names = masqueradeChains(owner);
  const there = readChains(nl, family, 'nat', [parent, names.usual, names.spare], about);
  const isTaken = () => jumpsTo(there, names.usual).some(({ comment }) => isAnothers(comment, owner));
  return { there, ...ownChain(names, (name) => there.chains.includes(name), isTaken) };
}

function creating({ chains, own }: RuleSet): IptablesChange[] {
  return wordChanges({ chains, rules: own });
}

/** Without a process, in one transaction for the families where that is possible. Returns these. */
function addNatively(nl: Netlink, chain: string, wanted: readonly Wanted[]): Family[] {
  const known = wanted.flatMap(({ family, set: { chains, own } }) => {
    const changes = isNft(family) ? nativeChanges(family, 'nat', { chains, rules: own }) : undefined;
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
function completing(
  family: Family,
  owner: Owner,
  chain: string,
  addresses: readonly Cidr[],
  there: ChainRules,
): IptablesChange[] {
  const sources = [...addresses, ...jumpsTo(there, chain).flatMap(({ spec }) => spec.when.from ?? [])];
  const kept = there.rules.flatMap((rule) => acceptedNetwork(rule, chain) ?? []);
  const networks = networksOf([...kept.filter((network) => leadsTo(network, sources)), ...addresses]);
  const { own } = setOf(family, owner, chain, addresses, networks);
  const inside = own.filter((one) => one.chain === chain);
  const append = (one: RuleSpec) => appendRule(one.chain, ruleWords(one));
  const now = thereIn(there);
  return [
    ...(holdsExactly(now, chain, own) ? [] : [resetChain(chain), ...inside.map(append)]),
    ...own.filter((one) => one.chain === parent && !stands(now, one, false)).map(append),
  ];
}

/**
 * Takes away what leads to the container's chain, and the chain. With `addresses`, rules of other addresses stay,
 * and with them the chain. iptables-nft's rules go by netlink; without rules no program is started, and one message to
 * the kernel tells that there are none.
 */
export function removeByIptables(nl: Netlink, owner: Owner, addresses?: readonly Cidr[]): void {
  const isOthers = ({ comment }: Jump) => isAnothers(comment, owner);
  const { usual, spare } = masqueradeChains(owner);
  tryEach(familiesWith(nl, 'nat', [usual, spare]), ({ family, chains }) => {
    const staying = addresses
      ? listJumps(nl, family, 'nat', parent, chains).filter(
          (one) => !isOthers(one) && !isAmong(one.source, addresses),
        )
      : [];
    const kept = unique(staying.map(({ to }) => to));
    for (const chain of kept) {
      for (const variant of unique(staying.flatMap((one) => (one.to === chain ? [one.variant] : [])))) {
        retryOvertaken(() => shrink(nl, family, variant, chain, addresses ?? []));
      }
    }
    const gone = chains.filter((chain) => !kept.includes(chain));
    removeChains(nl, family, 'nat', gone, [parent], isOthers);
  });
}

/** Removes some addresses of a chain that others still need. */
function shrink(
  nl: Netlink,
  family: Family,
  variant: Variant,
  chain: string,
  addresses: readonly Cidr[],
): void {
  retryRaces(() => {
    const there =
      variant === 'nft'
        ? readNftChains(nl, family, 'nat', [parent, chain])
        : readLegacyChains(family, 'nat', [parent, chain]);
    const jumps = jumpsTo(there, chain);
    const leaving = jumps.filter(({ spec }) => isAmong(spec.when.from, addresses));
    const staying = jumps.flatMap((one) => (leaving.includes(one) ? [] : (one.spec.when.from ?? [])));
    const useless = there.rules.filter((rule) => {
      const network = acceptedNetwork(rule, chain);
      return network !== undefined && !leadsTo(network, staying);
    });
    deleteChosen(nl, family, 'nat', variant, [...leaving, ...useless]);
  });
}

export function differencesInIptables(nl: Netlink, owner: Owner, all: readonly Cidr[]): string[] {
  const about = [namingComment(owner), masqueradeChains(owner).usual].map((text) => encoder.encode(text));
  return families.flatMap((family) => {
    const addresses = all.filter(({ ip }) => ip.family === family);
    if (!addresses.length) return [];
    const program = family === 4 ? 'iptables' : 'ip6tables';
    const { there, standing, name } = find(nl, owner, family, about);
    const [chain = name] = standing;
    if (!there.chains.includes(chain)) return [`chain ${chain} is missing in ${program}'s nat table`];
    return lacking(setOf(family, owner, chain, addresses), thereIn(there)).own.map(
      (one) =>
        `rule "${joinWords(ruleWords(one))}" is missing in chain ${one.chain} of ${program}'s nat table`,
    );
  });
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
  const { owns } = namingNoneOf(network, valid);
  for (const family of families) {
    const stale = listJumps(nl, family, 'nat', parent).filter(({ to, comment }) => {
      const named = owns(comment) ? readNamed(comment) : undefined;
      const { usual, spare } = masqueradeChains(named ?? { network, containerId: '' });
      return named !== undefined && (to === usual || to === spare || comment?.endsWith('...'));
    });
    const isOthers = ({ comment }: Jump) => !owns(comment);
    removeChains(nl, family, 'nat', unique(stale.map(({ to }) => to)), [parent], isOthers);
  }
}

function jumpsTo(there: ChainRules, chain: string): ChainRule[] {
  return there.rules.filter((one) => one.chain === parent && one.target === chain);
}

function acceptedNetwork({ chain, spec }: ChainRule, wanted: string): Cidr | undefined {
  return chain === wanted && spec.action?.kind === 'accept' ? spec.when.to : undefined;
}

function leadsTo(network: Cidr, sources: readonly { readonly ip: Ip }[]): boolean {
  return sources.some(({ ip }) => contains(network, ip));
}

/** A source that is one of the addresses, or (an old form) the subnet of one. A rule without is anybody's. */
function isAmong(source: Cidr | undefined, addresses: readonly Cidr[]): boolean {
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
