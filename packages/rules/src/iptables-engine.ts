import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import {
  type Family,
  findVariant,
  IptablesError,
  programName,
  requireProgram,
  type Variant,
  variantOf,
} from '@cni-ts/iptables/program';
import * as words from '@cni-ts/iptables/restore';
import {
  type IptablesChange,
  type IptablesTableName,
  restore,
  retryOvertaken,
} from '@cni-ts/iptables/restore';
import { oneAtATime } from '@cni-ts/libc/host-lock';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type Chain, createChain, deleteChain } from '@cni-ts/nftables/chain';
import { addRule, deleteRule, insertRule } from '@cni-ts/nftables/rule';
import { type Change, NftablesError, retryRaces, transaction } from '@cni-ts/nftables/transaction';
import type { Undo } from '@cni-ts/skeleton/undo';
import {
  type ChainRule,
  type ChainRules,
  readChains,
  readLegacyChains,
  readNftChains,
} from './chain-rules.ts';
import { isRule } from './read-rule.ts';
import { type Lacking, lacking, missingIn, needsShared, type RuleSet, type There } from './rule-set.ts';
import type { ReadRule, RuleSpec } from './rule-spec.ts';
import { ruleWords } from './words-language.ts';
import { type CommentForm, xtRule } from './xt-language.ts';

/** Rule sets in tables of iptables: by netlink where they belong to iptables-nft and it can be told, else by program. */

/** Whether the iptables-restore in PATH writes to nf_tables. Throws IptablesError if there is none. */
export function isNft(family: Family): boolean {
  return variantOf(requireProgram(programName(family, 'restore'))) === 'nft';
}

/** What becomes of one family's table. */
export interface RuleChanges {
  /** To be created; a comment of one iptables does not see, and words cannot say. */
  readonly chains: readonly Chain[];
  readonly rules: readonly (RuleSpec & Partial<Pick<ReadRule, 'whole'>>)[];
  readonly stale?: readonly ChainRule[];
}

/** What makes a set complete. */
function changesOf({ chains, shared, own, stale }: Lacking<ChainRule>): RuleChanges {
  return { chains, rules: [...shared, ...own], stale };
}

/** The changes as commands of iptables-restore. */
export function wordChanges({ chains, rules, stale = [] }: RuleChanges): IptablesChange[] {
  return [
    ...chains.map(({ name }) => words.createChain(name)),
    ...rules.map(writeWords),
    // Of two that are the same the first goes, which is the older one.
    ...deletions(stale),
  ];
}

function writeWords(spec: RuleSpec): IptablesChange {
  return (spec.place ? words.insertRule : words.appendRule)(spec.chain, ruleWords(spec));
}

/** The commands that remove these rules. */
export function deletions(rules: readonly ChainRule[]): IptablesChange[] {
  return rules.map((one) => words.deleteRule(one.chain, one.words));
}

/**
 * The changes for netlink, in the form that iptables-nft gives the rules; undefined where only the program can make
 * one. The transaction is refused, with an NftablesError, where such a chain is there by now, another one is not, or
 * the kernel does not know these forms: then let the program do it.
 */
export function nativeChanges(
  family: Family,
  tableName: IptablesTableName,
  { chains, rules, stale = [] }: RuleChanges,
  form?: CommentForm,
): Change[] | undefined {
  const table = iptablesNftTable(family, tableName);
  const changes = chains.map(createChain);
  for (const spec of rules) {
    const native = xtRule(family, spec, form);
    if (!native) return undefined;
    changes.push((spec.place ? insertRule : addRule)({ table, name: spec.chain }, native));
  }
  for (const { chain, handle } of stale) {
    if (handle === undefined) return undefined;
    changes.push(deleteRule(table, { chain, handle }));
  }
  return changes;
}

/** What nativeChanges made for a family. */
export interface FamilyChanges {
  readonly family: Family;
  readonly changes: readonly Change[];
}

/** One transaction for the families. Returns those that are done: none where the kernel refused it, and the program
 *  shall try. */
export function applyNatively(nl: Netlink, wanted: readonly FamilyChanges[]): Family[] {
  try {
    transaction(
      nl,
      wanted.flatMap(({ changes }) => changes),
    );
  } catch (error) {
    if (error instanceof NftablesError) return [];
    throw error;
  }
  return wanted.map(({ family }) => family);
}

/** What iptables' chains hold, for comparing a set with. */
export function thereIn({ chains, rules }: ChainRules): There<ChainRule> {
  return {
    has: (chain) => chains.includes(chain),
    rules: (chain) => rules.filter((one) => one.chain === chain),
    is: (wanted, { spec }, orLost) => isRule(wanted, spec, orLost),
  };
}

/**
 * Removes rules that were read of one variant's table, by netlink those that have a handle, others by their words; and
 * chains with all that is in them.
 */
export function deleteChosen(
  nl: Netlink,
  family: Family,
  tableName: IptablesTableName,
  variant: Variant,
  chosen: readonly ChainRule[],
  chains: readonly string[] = [],
): void {
  const table = iptablesNftTable(family, tableName);
  const byWords: ChainRule[] = [];
  const changes: Change[] = [];
  for (const one of chosen) {
    const { chain, handle } = one;
    if (handle === undefined) byWords.push(one);
    else changes.push(deleteRule(table, { chain, handle }));
  }
  const native = variant === 'nft';
  if (native) changes.push(...chains.map((name) => deleteChain({ table, name })));
  transaction(nl, changes);
  const lines = deletions(byWords);
  if (!native) lines.push(...chains.map(words.flushChain), ...chains.map(words.deleteChain));
  // Usually none, and then no program is looked for.
  if (lines.length) restore(family, { [tableName]: lines }, findVariant(family, 'restore', variant));
}

/**
 * Removes what `choose` picks of some chains, from either kind of tables. `about`: bytes of which a rule must have some
 * to be of interest; none: there is nothing to remove in nf_tables.
 */
export function removeChosen(
  nl: Netlink,
  family: Family,
  tableName: IptablesTableName,
  chains: readonly string[],
  about: () => readonly Uint8Array[],
  choose: (rules: readonly ChainRule[]) => readonly ChainRule[],
): void {
  retryRaces(() => {
    const bytes = about();
    if (!bytes.length) return;
    const { rules } = readNftChains(nl, family, tableName, chains, bytes);
    deleteChosen(nl, family, tableName, 'nft', choose(rules));
  });
  retryOvertaken(() => {
    const { rules } = readLegacyChains(family, tableName, chains);
    deleteChosen(nl, family, tableName, 'legacy', choose(rules));
  });
}

/** A set in one family's table. */
export interface Work {
  readonly family: Family;
  readonly table: IptablesTableName;
  readonly set: RuleSet;
  /** What stands in the chains. With true nothing is left out that may be a shared rule without its comment. */
  read(thoroughly: boolean): ChainRules;
  /** Rules that must go when this set stands there. */
  stale(there: ChainRules): readonly ChainRule[];
  /** Bytes of which each of the set's own rules has some. */
  readonly about: readonly Uint8Array[];
}

/** What of a set does not stand, and `counts`. It is looked thoroughly before anything is said to be missing. */
export function missingInIptables(
  { set, read }: Pick<Work, 'set' | 'read'>,
  counts: (one: RuleSpec, there: ChainRules) => boolean,
): RuleSpec[] {
  const missing = (thoroughly: boolean) => {
    const there = read(thoroughly);
    return missingIn(thereIn(there), set).filter((one) => counts(one, there));
  };
  return missing(false).length ? missing(true) : [];
}

/** What one ADD made in one family, or was about to. */
interface Made {
  readonly chains: Chain[];
  readonly shared: RuleSpec[];
  readonly own: RuleSpec[];
}

const attempts = 10;

/**
 * Makes what is missing of a set: what all share by one iptables-restore, and the attachment's own by netlink without
 * a process where the chains belong to iptables-nft. Its undo is registered here: what was made for all goes as well,
 * if nobody else uses it.
 */
export function ensureInIptables(nl: Netlink, what: string, undo: Undo, work: Work): void {
  const made: Made = { chains: [], shared: [], own: [] };
  undo.add(what, () => takeBack(nl, work, made));
  complete(nl, work, (missing) => {
    for (const key of ['chains', 'shared', 'own'] as const) {
      const known: unknown[] = made[key];
      known.push(...missing[key].filter((one) => !known.includes(one)));
    }
  });
}

type Missing = Lacking<ChainRule>;

function complete(nl: Netlink, work: Work, note: (part: Missing) => void): void {
  const { family, table, set } = work;
  const native = isNft(family);
  const look = (thoroughly = false): Missing => {
    const there = work.read(thoroughly);
    return lacking(set, thereIn(there), work.stale(there));
  };
  const write = (part: Missing) => {
    note(part);
    restore(family, { [table]: wordChanges(changesOf(part)) });
  };
  for (let attempt = 1; ; attempt++) {
    let missing = look();
    try {
      if (needsShared(missing)) {
        oneAtATime(() => {
          missing = look(true);
          if (!needsShared(missing)) return;
          // Where netlink can, it writes the attachment's own: see CommentForm.
          write(native ? { ...missing, own: [], stale: [] } : missing);
          missing = { ...missing, chains: [], shared: [], ...(native ? {} : { own: [], stale: [] }) };
        });
      }
      if (!missing.own.length && !missing.stale.length) return;
      const byNetlink =
        native && attempt === 1 ? nativeChanges(family, table, changesOf(missing), 'userdata') : undefined;
      if (byNetlink) {
        note(missing);
        transaction(nl, byNetlink);
      } else write(missing);
      return;
    } catch (error) {
      if (error instanceof NftablesError) continue; // the program shall try
      // Somebody else changed the same chains after we had looked.
      const raced = error instanceof IptablesError && error.status !== undefined && attempt < attempts;
      if (!raced || (attempt > 1 && linesOf(look(true)) === linesOf(missing))) throw error;
    }
  }
}

function linesOf(missing: Missing): string {
  return wordChanges(changesOf(missing))
    .map(({ line }) => line)
    .join('\n');
}

/**
 * Undoes one ADD. Chains that it created go only together with all that it put into them, and only while nothing
 * else is in them: then the restore fails as a whole, and just the attachment's own rules are taken out.
 */
function takeBack(nl: Netlink, { family, table, about }: Work, { chains, shared, own }: Made): void {
  const isOne = (of: readonly RuleSpec[]) => (rule: ChainRule) =>
    of.some((one) => one.chain === rule.chain && isRule(one, rule.spec));
  if (chains.length) {
    try {
      oneAtATime(() => {
        const rules = [...shared, ...own];
        const touched = new Set([...chains.map(({ name }) => name), ...rules.map(({ chain }) => chain)]);
        const there = readChains(nl, family, table, [...touched]);
        const gone = chains.filter(({ name }) => there.chains.includes(name));
        const changes = [
          ...deletions(there.rules.filter(isOne(rules))),
          ...gone.map(({ name }) => words.deleteChain(name)),
        ];
        restore(family, { [table]: changes });
      });
      return;
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error; // else: somebody else has begun to use them
    }
  }
  if (!own.length) return;
  const ownChains = [...new Set(own.map(({ chain }) => chain))];
  removeChosen(
    nl,
    family,
    table,
    ownChains,
    () => about,
    (rules) => rules.filter(isOne(own)),
  );
}
