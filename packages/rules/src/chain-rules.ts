import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import {
  type Family,
  findVariant,
  programName,
  requireProgram,
  type Variant,
  variantOf,
} from '@cni-ts/iptables/program';
import type { IptablesTableName } from '@cni-ts/iptables/restore';
import { legacyTable, type SavedTable, save } from '@cni-ts/iptables/save';
import { joinWords } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { jumpTarget, verdictChain } from '@cni-ts/nftables/action';
import { chainsThere } from '@cni-ts/nftables/chain';
import { type ListedRule, listRules } from '@cni-ts/nftables/rule';
import { isRule, readRule } from './read-rule.ts';
import type { There } from './rule-set.ts';
import { type ReadRule, targetChain } from './rule-spec.ts';
import { readWords, ruleWords } from './words-language.ts';

/** A rule in a table of iptables, read from the kernel or from what a program prints. */
export class ChainRule {
  readonly chain: string;
  readonly #family: Family;
  readonly #listed: ListedRule | undefined;
  #spec: ReadRule | undefined;
  #words: readonly string[] | undefined;

  /** `from`: words of iptables-save, or a rule of nf_tables. */
  constructor(family: Family, chain: string, from: readonly string[] | ListedRule) {
    this.#family = family;
    this.chain = chain;
    if ('handle' in from) this.#listed = from;
    else this.#words = from;
  }

  /** Where it was read from nf_tables: it can be deleted by that. */
  get handle(): bigint | undefined {
    return this.#listed?.handle;
  }

  /** As far as it was understood. */
  get spec(): ReadRule {
    this.#spec ??= this.#listed
      ? readRule(this.#family, this.#listed)
      : readWords(this.#family, this.#words ?? []);
    return this.#spec;
  }

  get comment(): string | undefined {
    return this.#listed ? this.#listed.comment : this.spec.comment;
  }

  /** The chain it leads to. */
  get target(): string | undefined {
    return this.#listed ? jumpTarget(this.#listed.expressions) : targetChain(this.spec.action);
  }

  /** Whether it leads to this chain; a rule of nf_tables is not taken apart for that. */
  leadsTo(chain: string): boolean {
    return this.#listed ? this.#listed.holds(verdictChain(chain)) : this.target === chain;
  }

  /** As iptables-save prints it. */
  get words(): readonly string[] {
    this.#words ??= ruleWords(this.spec);
    return this.#words;
  }

  get text(): string {
    return joinWords(this.words);
  }
}

/** Those of the chains asked for that are there, and their rules in order. */
export interface ChainRules {
  readonly chains: readonly string[];
  readonly rules: readonly ChainRule[];
}

/** Bytes of which a rule must have some to be of interest; of each chain others, perhaps. */
type AboutRules = readonly Uint8Array[] | ((chain: string) => readonly Uint8Array[]);

/**
 * What some chains hold, as the iptables program in PATH sees them. Where that is a front end of nf_tables they are
 * read from the kernel: no process is started, and foreign chains are not listed however long they are. Throws
 * IptablesError if there is no iptables.
 */
export function readChains(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  about?: AboutRules,
): ChainRules {
  const variant = variantOf(requireProgram(programName(family, 'restore')));
  return variant === 'nft'
    ? readNftChains(nl, family, table, chains, about)
    : only(family, save(family, table), chains);
}

/**
 * The chains as they stand in nf_tables, whatever is in PATH. `about`: bytes of which a rule must have some to be of
 * interest, such as an address or a part of a comment; others may be left out.
 */
export function readNftChains(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  about?: AboutRules,
): ChainRules {
  const there = chainsThere(nl, iptablesNftTable(family, table), chains);
  const rules: ChainRule[] = [];
  for (const chain of there) {
    const bytes = typeof about === 'function' ? about(chain) : about;
    for (const rule of rulesIn(nl, family, table, 'nft', chain, bytes)) {
      const { whole } = rule.spec;
      // Another version of iptables may write a rule in other instructions: only it knows. In built-in chains
      // strangers' rules are to be expected, and ours there are simple.
      if (!whole && !builtIn.has(chain)) {
        const program = findVariant(family, 'save', 'nft');
        const saved = program === undefined ? undefined : only(family, save(family, table, program), chains);
        // A table that nft has rewritten is empty to older versions of the program. Then nobody can read that rule, and
        // it is none of ours: those are known in every form.
        if (saved?.chains.length) return saved;
      }
      if (whole) rules.push(rule);
    }
  }
  return { chains: there, rules };
}

/**
 * What stands in the tables that the iptables program in PATH writes to, read chain by chain as it is asked for. What
 * leads to a chain is known by that alone, since reading a rule takes long, unless they shall be `whole`. `about`: see
 * readChains, for each chain.
 */
export function thereByPieces(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
  about: (chain: string) => readonly Uint8Array[] | undefined,
  whole = false,
): There<ChainRule> {
  const native = variantOf(requireProgram(programName(family, 'restore'))) === 'nft';
  const saved = native ? undefined : only(family, save(family, table), chains);
  const names = saved?.chains ?? chainsThere(nl, iptablesNftTable(family, table), chains);
  const read = new Map<string, readonly ChainRule[]>();
  return {
    has: (chain) => names.includes(chain),
    rules(chain) {
      if (saved) return saved.rules.filter((one) => one.chain === chain);
      const rules =
        read.get(chain) ??
        (names.includes(chain) ? rulesIn(nl, family, table, 'nft', chain, about(chain)) : []);
      read.set(chain, rules);
      return rules;
    },
    is: (wanted, one, orLost) =>
      wanted.action.kind === 'jump' && !whole
        ? one.leadsTo(wanted.action.chain)
        : isRule(wanted, one.spec, orLost),
  };
}

/**
 * The rules of one chain, also those that are understood in part; in nf_tables no program is started for them. Without
 * a variant they are read by the program in PATH, whatever that is.
 */
export function rulesIn(
  nl: Netlink,
  family: Family,
  table: IptablesTableName,
  variant: Variant | undefined,
  chain: string,
  about?: readonly Uint8Array[],
): readonly ChainRule[] {
  if (variant === 'nft') {
    const listed = listRules(nl, iptablesNftTable(family, table), chain, about);
    return listed.map((one) => new ChainRule(family, chain, one));
  }
  if (variant === 'legacy') return readLegacyChains(family, table, [chain]).rules;
  return only(family, save(family, table), [chain]).rules;
}

/** The chains as they stand in the older tables; empty where nobody uses them. */
export function readLegacyChains(
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
): ChainRules {
  const saved = legacyTable(family, table);
  return saved ? only(family, saved, chains) : { chains: [], rules: [] };
}

const builtIn = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

function only(family: Family, all: SavedTable, chains: readonly string[]): ChainRules {
  return {
    chains: all.chains.filter((name) => chains.includes(name)),
    rules: all.rules.flatMap(({ chain, words }) =>
      chains.includes(chain) ? [new ChainRule(family, chain, words)] : [],
    ),
  };
}
