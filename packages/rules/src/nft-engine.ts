import { oneAtATime } from '@cni-ts/libc/host-lock';
import type { Netlink } from '@cni-ts/netlink/socket';
import { addChain, type Chain, chainText, deleteEmptyChain, isAmong } from '@cni-ts/nftables/chain';
import {
  type About,
  addRule,
  deleteRule,
  flushChain,
  insertRule,
  type ListedRule,
  listRules,
  type Rule,
  sameRule,
} from '@cni-ts/nftables/rule';
import { addTable, deleteEmptyTable, type Table } from '@cni-ts/nftables/table';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import type { Undo } from '@cni-ts/skeleton/undo';
import { nftRule } from './nft-language.ts';
import { isRule, readRule } from './read-rule.ts';
import {
  type Lacking,
  lacking,
  missingIn,
  needsShared,
  type Owners,
  type RuleSet,
  type There,
} from './rule-set.ts';
import type { ReadRule, RuleSpec } from './rule-spec.ts';
import { xtRule } from './xt-language.ts';

/** Rule sets in nf_tables, by netlink: in tables of our own, and among others' rules in tables of iptables-nft. */

/** Whether iptables shares a table, which then has its form of rules: each with a counter, translations as a match. */
export function isIptablesTable({ family, name }: Table): boolean {
  return family !== 'inet' && name === 'filter';
}

/** The rule in the language of its table. */
function ruleOf(table: Table, spec: RuleSpec): Rule {
  if (!isIptablesTable(table)) return nftRule(spec);
  const known = inIptables.get(spec) ?? xtRule(table.family === 'ip6' ? 6 : 4, spec, 'userdata');
  if (!known) throw new Error(`a rule for chain ${spec.chain} has no form in tables of iptables`);
  inIptables.set(spec, known);
  return known;
}

const inIptables = new WeakMap<RuleSpec, Rule>();

/** What it says, as nft prints it. */
export function ruleText(table: Table, spec: RuleSpec): string {
  return ruleOf(table, spec).text;
}

/** The change that makes a rule in its place. */
export function makeRule(table: Table, spec: RuleSpec): Change {
  const chain: Chain = { table, name: spec.chain };
  return (spec.place ? insertRule : addRule)(chain, ruleOf(table, spec));
}

/**
 * Whether a rule is there. In tables of iptables it may have been written anew by that, or by `nft -f`, which loses
 * comments that iptables has made its own.
 */
export function isInNft(table: Table): There<ListedRule>['is'] {
  const { family } = table;
  if (!isIptablesTable(table)) return (wanted, one) => sameRule(family, nftRule(wanted), one);
  return (wanted, one, orLost) => {
    const read = readings.get(one) ?? readRule(family === 'ip6' ? 6 : 4, one);
    readings.set(one, read);
    return isRule(wanted, read, orLost);
  };
}

/** Each listed rule is compared with many. */
const readings = new WeakMap<ListedRule, ReadRule>();

/**
 * What a chain holds of rules that `isMeant`, which of those wanted are missing there, and which are none of these.
 * Only for tables of our own, where every rule is read whole.
 */
export function compareChain(
  nl: Netlink,
  { table, name }: Chain,
  wanted: readonly RuleSpec[],
  isMeant: (listed: ListedRule) => boolean = () => true,
): { listed: ListedRule[]; missing: RuleSpec[]; strange: ListedRule[] } {
  const is = isInNft(table);
  const listed = listRules(nl, table, name).filter(isMeant);
  return {
    listed,
    missing: wanted.filter((one) => !listed.some((rule) => is(one, rule, false))),
    strange: listed.filter((rule) => !wanted.some((one) => is(one, rule, false))),
  };
}

/** What one look at the kernel shows. */
export interface Sight {
  /** Tables that are not there. */
  readonly tables: readonly Table[];
  readonly sets: readonly RuleSet[];
  there(set: RuleSet): There<ListedRule>;
  stale(set: RuleSet, there: There<ListedRule>): readonly ListedRule[];
}

/** What stands in those chains that are there, each listed once, as far as the bytes of which a rule has some are among
 *  those it is `about`. */
export function thereInNft(
  nl: Netlink,
  all: readonly Chain[],
  about: (chain: Chain) => About,
): Sight['there'] {
  const known = new Map<string, readonly ListedRule[]>();
  return ({ table }) => ({
    has: (name) => isAmong({ table, name }, all),
    rules(name) {
      const chain = { table, name };
      const key = chainText(chain);
      let listed = known.get(key);
      if (!listed) {
        listed = isAmong(chain, all) ? listRules(nl, table, name, about(chain)) : [];
        known.set(key, listed);
      }
      return listed;
    },
    is: isInNft(table),
  });
}

/** What one ADD has to make, or has made, table by table. */
export interface Made {
  readonly tables: readonly Table[];
  readonly sets: readonly (readonly [Table, Lacking<ListedRule>])[];
}

/** What makes sets complete: all chains first, and what all share before anybody's own. */
export function nftChanges({ tables, sets }: Made): Change[] {
  return [
    ...tables.map(addTable),
    ...sets.flatMap(([, { chains }]) => chains.map(addChain)),
    ...sets.flatMap(([, { emptied }]) => emptied.map(flushChain)),
    ...sets.flatMap(([table, { shared }]) => shared.map((one) => makeRule(table, one))),
    ...sets.flatMap(([table, { own }]) => own.map((one) => makeRule(table, one))),
    ...sets.flatMap(([table, { stale }]) => stale.map((one) => deleteRule(table, one))),
  ];
}

/**
 * Makes what is missing of some sets in one transaction; where that is something all share, one after the other on the
 * host. The undo is registered here: what was made for all goes as well, if nobody else uses it. `look` with true leaves
 * out no shared rule that has lost its comment.
 */
export function ensureInNft(
  nl: Netlink,
  what: string,
  undo: Undo,
  look: (thoroughly: boolean) => Sight,
): void {
  let made: Made = { tables: [], sets: [] };
  const write = (missing: Made) => {
    made = missing;
    transaction(nl, nftChanges(missing));
  };
  undo.make(
    what,
    () =>
      retryRaces(() => {
        const missing = lackingIn(look(false));
        const shares = missing.tables.length || missing.sets.some(([, one]) => needsShared(one));
        if (shares) oneAtATime(() => write(lackingIn(look(true))));
        else write(missing);
      }),
    () => takeBack(nl, made, look),
  );
}

/** What of its sets does not stand. It is looked thoroughly before anything is said to be missing. */
export function missingInNft(look: (thoroughly: boolean) => Sight): { table: Table; rule: RuleSpec }[] {
  const missing = (thoroughly: boolean) => {
    const { sets, there } = look(thoroughly);
    return sets.flatMap((set) => missingIn(there(set), set).map((rule) => ({ table: set.table, rule })));
  };
  const first = missing(false);
  // Only in tables of iptables a look can have left out what is there.
  return first.some(({ table }) => isIptablesTable(table)) ? missing(true) : first;
}

function lackingIn(sight: Sight): Made {
  return {
    tables: sight.tables,
    sets: sight.sets.map((set) => {
      const there = sight.there(set);
      return [set.table, lacking(set, there, sight.stale(set, there))];
    }),
  };
}

/**
 * Undoes one ADD. What it created goes only together with all that it put there, and only while nothing else is in
 * it: the kernel then refuses the whole transaction, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, { tables, sets }: Made, look: (thoroughly: boolean) => Sight): void {
  const deletions = (of: (one: Lacking<ListedRule>) => readonly RuleSpec[]) => {
    const sight = look(false);
    return sets.flatMap(([table, one]) => {
      const there = sight.there({ table, chains: [], shared: [], own: [] });
      return of(one).flatMap((spec) => {
        const listed = there.rules(spec.chain).find((rule) => there.is(spec, rule, false));
        return listed ? [deleteRule(table, listed)] : [];
      });
    });
  };
  const chains = sets.flatMap(([, one]) => one.chains);
  if (chains.length) {
    try {
      oneAtATime(() => {
        transaction(nl, [
          ...deletions(({ shared, own }) => [...shared, ...own]),
          ...chains.map(deleteEmptyChain),
          ...tables.map(deleteEmptyTable),
        ]);
      });
      return;
    } catch (error) {
      if (!(error instanceof NftablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  retryRaces(() =>
    transaction(
      nl,
      deletions(({ own }) => own),
    ),
  );
}

const encoder = new TextEncoder();

/** The rules in a chain that are somebody's; others' are not read. */
export function ownedRules(nl: Netlink, { table, name }: Chain, { mark, owns }: Owners): ListedRule[] {
  return listRules(nl, table, name, [encoder.encode(mark)]).filter(({ comment }) => owns(comment));
}

/** Removes the rules of somebody from these chains. */
export function removeOwned(nl: Netlink, chains: () => readonly Chain[], owners: Owners): void {
  retryRaces(() =>
    transaction(
      nl,
      chains().flatMap((chain) => ownedRules(nl, chain, owners).map((one) => deleteRule(chain.table, one))),
    ),
  );
}
