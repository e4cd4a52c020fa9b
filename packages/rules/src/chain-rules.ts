import { iptablesNftTable } from '@cni-ts/iptables/native-table';
import { type Family, findVariant, programName, requireProgram, variantOf } from '@cni-ts/iptables/program';
import type { IptablesTableName } from '@cni-ts/iptables/restore';
import { legacyTable, parseSaved, type SavedTable, save } from '@cni-ts/iptables/save';
import { joinWords } from '@cni-ts/iptables/words';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainsThere } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { readRule } from './read-rule.ts';
import { type ReadRule, targetChain } from './rule-spec.ts';
import { readWords, ruleWords } from './words-language.ts';

/** A rule in a table of iptables, read from the kernel or from what a program prints. */
export class ChainRule {
  readonly chain: string;
  /** Where it was read from nf_tables: it can be deleted by that. */
  readonly handle: bigint | undefined;
  readonly #family: Family;
  #spec: ReadRule | undefined;
  #words: readonly string[] | undefined;

  /** `from`: words of iptables-save, or what was read of the kernel's instructions. */
  constructor(family: Family, chain: string, from: readonly string[] | ReadRule, handle?: bigint) {
    this.#family = family;
    this.chain = chain;
    this.handle = handle;
    if ('whole' in from) this.#spec = from;
    else this.#words = from;
  }

  /** As far as it was understood. */
  get spec(): ReadRule {
    this.#spec ??= readWords(this.#family, this.#words ?? []);
    return this.#spec;
  }

  get comment(): string | undefined {
    return this.spec.comment;
  }

  /** The chain it leads to. */
  get target(): string | undefined {
    return targetChain(this.spec.action);
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
  about?: readonly Uint8Array[],
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
  about?: readonly Uint8Array[],
): ChainRules {
  const owner = iptablesNftTable(family, table);
  const there = chainsThere(nl, owner, chains);
  const rules: ChainRule[] = [];
  for (const chain of there) {
    for (const listed of listRules(nl, owner, chain, about)) {
      const spec = readRule(family, listed);
      // Another version of iptables may write a rule in other instructions: only it knows. In built-in chains
      // strangers' rules are to be expected, and ours there are simple.
      if (!spec.whole && !builtIn.has(chain)) {
        const program = findVariant(family, 'save', 'nft');
        const saved = program === undefined ? undefined : only(family, save(family, table, program), chains);
        // A table that nft has rewritten is empty to older versions of the program. Then nobody can read that rule, and
        // it is none of ours: those are known in every form.
        if (saved?.chains.length) return saved;
      }
      if (spec.whole) rules.push(new ChainRule(family, chain, spec, listed.handle));
    }
  }
  return { chains: there, rules };
}

/** The chains as they stand in the older tables; empty where nobody uses them. */
export function readLegacyChains(
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
): ChainRules {
  return only(family, legacyTable(family, table) ?? parseSaved(''), chains);
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
