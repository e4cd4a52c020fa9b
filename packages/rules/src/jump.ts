import type { Cidr } from '@cni-ts/address/cidr';
import { hasLegacyTable } from '@cni-ts/iptables/legacy-table';
import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, findVariant, type Variant } from '@cni-ts/iptables/program';
import {
  deleteChain,
  deleteRule,
  flushChain,
  type IptablesTableName,
  restore,
  retryOvertaken,
} from '@cni-ts/iptables/restore';
import { legacyTable, type SavedTable } from '@cni-ts/iptables/save';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget } from '@cni-ts/nftables/action';
import {
  chainsThere,
  deleteChain as deleteNftChain,
  findChain,
  presenceQuestion,
} from '@cni-ts/nftables/chain';
import { comparedNetwork, firstCompared } from '@cni-ts/nftables/comparison';
import { ask } from '@cni-ts/nftables/question';
import { deleteRule as deleteNftRule, type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { ChainRule } from './chain-rules.ts';

/**
 * User chains and the rules that lead to them, found and removed without knowing what is in them. iptables-nft
 * keeps its rules in ordinary nf_tables tables (`ip nat`), so they are read and deleted there without starting a
 * program; programs run only when the older tables exist in this namespace. DEL thus costs nothing where nothing is.
 */
export interface Jump {
  readonly variant: Variant;
  readonly from: string;
  readonly to: string;
  readonly comment: string | undefined;
  /** `-s`; undefined if the rule has none. */
  readonly source: Cidr | undefined;
}

const encoder = new TextEncoder();

/** The jumps of one chain. `to`: only those to these chains. */
export function listJumps(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  from: string,
  to?: readonly string[],
): Jump[] {
  return [
    ...nftJumps(nl, family, table, from, to),
    ...legacyJumps(family, legacyTable(family, table), from, to),
  ];
}

/** Whether a chain has jumps to chains other than these, whose names begin with `prefix`. */
export function leadsElsewhere(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  from: string,
  prefix: string,
  these: readonly string[],
): boolean {
  const [start, own] = [encoder.encode(prefix), these.map((name) => encoder.encode(name))];
  const isOther = (to: string | undefined) => to?.startsWith(prefix) && !these.includes(to);
  const others = listRules(
    nl,
    iptablesNftTable(family, table),
    from,
    (message) => holdsBytes(message, start) && !own.some((name) => holdsBytes(message, name)),
  );
  return (
    others.some((rule) => isOther(jumpTarget(rule.expressions))) ||
    legacyJumps(family, legacyTable(family, table), from).some(({ to }) => isOther(to))
  );
}

/** Which of the two kinds of tables has this chain. */
export function chainVariants(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chain: string,
): Variant[] {
  const found: Variant[] = [];
  if (findChain(nl, { table: iptablesNftTable(family, table), name: chain })) found.push('nft');
  if (legacyTable(family, table)?.chains.includes(chain)) found.push('legacy');
  return found;
}

/**
 * Removes user chains with their rules, and the rules of `parents` that jump there: one transaction, or one restore.
 * What is not there is fine. Returns the chains that were. `isOthers`: a chain to which such a jump leads belongs to
 * somebody else whose names give the same chain, and stays; other jumps there go, if they say whose they are.
 */
export function removeChains(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  parents: readonly string[],
  isOthers: (jump: Jump) => boolean = () => false,
): string[] {
  const gone = new Set<string>();
  retryRaces(() => {
    const owner = iptablesNftTable(family, table);
    const found = chainsThere(nl, owner, chains);
    if (!found.length) return;
    const leading = parents.flatMap((parent) => nftJumps(nl, family, table, parent, found));
    const spared = leading.filter(isOthers).map(({ to }) => to);
    const there = found.filter((name) => !spared.includes(name));
    const jumps = leading.filter((jump) => !spared.includes(jump.to) || mayGo(jump, isOthers));
    transaction(nl, [
      ...jumps.map((jump) => deleteNftRule(owner, jump.rule)),
      ...there.map((name) => deleteNftChain({ table: owner, name })),
    ]);
    for (const name of there) gone.add(name);
  });
  for (const name of retryOvertaken(() => removeLegacyChains(family, table, chains, parents, isOthers))) {
    gone.add(name);
  }
  return [...gone];
}

function removeLegacyChains(
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  parents: readonly string[],
  isOthers: (jump: Jump) => boolean,
): readonly string[] {
  const legacy = legacyTable(family, table);
  const jumps = legacy ? parents.flatMap((parent) => legacyJumps(family, legacy, parent)) : [];
  const spared = jumps.filter((jump) => chains.includes(jump.to) && isOthers(jump)).map(({ to }) => to);
  const there = chains.filter((name) => legacy?.chains.includes(name) && !spared.includes(name));
  if (there.length || spared.length) {
    const changes = [
      ...jumps
        .filter((jump) => there.includes(jump.to) || (spared.includes(jump.to) && mayGo(jump, isOthers)))
        .map(({ from, words }) => deleteRule(from, words)),
      ...there.map(flushChain),
      ...there.map(deleteChain),
    ];
    restore(family, { [table]: changes }, findVariant(family, 'restore', 'legacy'));
  }
  return there;
}

/** Of a chain that somebody else uses as well. */
function mayGo(jump: Jump, isOthers: (jump: Jump) => boolean): boolean {
  return jump.comment !== undefined && !isOthers(jump);
}

function nftJumps(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  from: string,
  only?: readonly string[],
): (Jump & { rule: ListedRule })[] {
  const about = only?.map((name) => encoder.encode(name));
  return listRules(nl, iptablesNftTable(family, table), from, about).flatMap((rule) => {
    const to = jumpTarget(rule.expressions);
    if (to === undefined || (only !== undefined && !only.includes(to))) return [];
    const compared = firstCompared(rule.expressions, 'saddr');
    const source = compared && comparedNetwork(compared);
    return [{ variant: 'nft', from, to, comment: rule.comment, source, rule }];
  });
}

function legacyJumps(
  family: Family,
  table: SavedTable | undefined,
  from: string,
  only?: readonly string[],
): (Jump & { words: readonly string[] })[] {
  return (table?.rules ?? []).flatMap(({ chain, words }) => {
    if (chain !== from) return [];
    const { spec, target: to, comment } = new ChainRule(family, chain, words);
    if (to === undefined || (only !== undefined && !only.includes(to))) return [];
    return [{ variant: 'legacy', from, to, comment, source: spec.when.from, words }];
  });
}

const families: readonly Family[] = [4, 6];

/** A family, and which of the chains that were asked for are there, or may be. */
export interface FamilyChains {
  readonly family: Family;
  readonly chains: readonly string[];
}

/**
 * The families where one of these chains is, or may be: one message to the kernel, and a look whether there are older
 * tables, which no message tells anything about.
 */
export function familiesWith(
  nl: Netlink,
  table: IptablesTableName,
  chains: readonly string[],
  of: readonly Family[] = families,
): FamilyChains[] {
  const found = ask(
    nl,
    of.map((family) =>
      chains.map((name) => presenceQuestion({ table: iptablesNftTable(family, table), name })),
    ),
  );
  return of.flatMap((family, i) => {
    if (hasLegacyTable(family, table)) return [{ family, chains }];
    const there = chains.filter((_, at) => found[i]?.[at]);
    return there.length ? [{ family, chains: there }] : [];
  });
}
