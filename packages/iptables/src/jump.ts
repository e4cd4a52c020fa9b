import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import { holdsBytes } from '@cni-ts/netlink/bytes';
import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget } from '@cni-ts/nftables/action';
import {
  chainsThere,
  deleteChain as deleteNftChain,
  findChain,
  presenceQuestion,
} from '@cni-ts/nftables/chain';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import { ask } from '@cni-ts/nftables/question';
import { deleteRule as deleteNftRule, type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { retryRaces, transaction } from '@cni-ts/nftables/transaction';
import { hasLegacyTable } from './legacy-table.ts';
import { iptablesNftTable } from './native-table.ts';
import { type Family, findVariant, type Variant } from './program.ts';
import { deleteChain, deleteRule, flushChain, type IptablesTableName, restore } from './restore.ts';
import { type SavedTable, save } from './save.ts';
import { wordAfter } from './words.ts';

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
  return [...nftJumps(nl, family, table, from, to), ...legacyJumps(legacyTable(family, table), from, to)];
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
    legacyJumps(legacyTable(family, table), from).some(({ to }) => isOther(to))
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
  const legacy = legacyTable(family, table);
  const jumps = legacy ? parents.flatMap((parent) => legacyJumps(legacy, parent)) : [];
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
    for (const name of there) gone.add(name);
  }
  return [...gone];
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
    const { comment, expressions } = rule;
    return [{ variant: 'nft', from, to, comment, source: sourceOf(family, expressions), rule }];
  });
}

/** A source that is a whole address or a prefix of whole bytes; others count as none. */
function sourceOf(family: Family, expressions: readonly Expression[]): Cidr | undefined {
  const offset = family === 4 ? 12 : 8;
  for (const [i, one] of expressions.entries()) {
    const load = dataOf(one, 'payload');
    if (load?.base !== 'network' || load.offset !== offset) continue;
    const value = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp')?.data?.value;
    if (!value) return undefined;
    const bytes = new Uint8Array(family === 4 ? 4 : 16);
    bytes.set(value.subarray(0, bytes.length));
    return { ip: { family, bytes }, prefix: value.length * 8 };
  }
  return undefined;
}

function legacyJumps(
  table: SavedTable | undefined,
  from: string,
  only?: readonly string[],
): (Jump & { words: readonly string[] })[] {
  return (table?.rules ?? []).flatMap(({ chain, words }) => {
    const to = wordAfter(words, '-j') ?? wordAfter(words, '-g');
    if (chain !== from || to === undefined || (only !== undefined && !only.includes(to))) return [];
    const source = parseCidr(wordAfter(words, '-s') ?? '');
    return [{ variant: 'legacy', from, to, comment: wordAfter(words, '--comment'), source, words }];
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

/** The table of the older kind, if it is there and a program can read it. */
export function legacyTable(family: Family, table: IptablesTableName): SavedTable | undefined {
  if (!hasLegacyTable(family, table)) return undefined;
  const program = findVariant(family, 'save', 'legacy');
  return program === undefined ? undefined : save(family, table, program);
}
