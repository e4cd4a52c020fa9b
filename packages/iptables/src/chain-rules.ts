import type { Netlink } from '@cni-ts/netlink/socket';
import { chainsThere } from '@cni-ts/nftables/chain';
import { listRules } from '@cni-ts/nftables/rule';
import { legacyTable } from './jump.ts';
import { iptablesNftTable } from './native-table.ts';
import { nativeWords } from './native-words.ts';
import { type Family, findVariant, programName, requireProgram, variantOf } from './program.ts';
import type { IptablesTableName } from './restore.ts';
import { parseSaved, type SavedRule, save } from './save.ts';
import { joinWords } from './words.ts';

/** A rule in iptables-save's words; with a handle where it was read from nf_tables, by which it can be deleted. */
export interface ChainRule extends SavedRule {
  readonly handle?: bigint;
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
    : only(save(family, table), chains);
}

/**
 * The same of nf_tables, whatever is in PATH. `about`: bytes of which a rule must have some to be of interest, such as
 * an address or a part of a comment; others may be left out.
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
      const words = nativeWords(family, listed);
      // Another version of iptables may write a rule in other instructions: only it knows. In built-in chains
      // strangers' rules are to be expected, and ours there are simple.
      if (!words && !builtIn.has(chain)) {
        const program = findVariant(family, 'save', 'nft');
        const saved = program === undefined ? undefined : only(save(family, table, program), chains);
        // A table that nft has rewritten is empty to older versions of the program. Then nobody can read that rule, and
        // it is none of ours: those are known in every form.
        if (saved?.chains.length) return saved;
      }
      if (words) rules.push({ chain, words, text: joinWords(words), handle: listed.handle });
    }
  }
  return { chains: there, rules };
}

/** The same of the older tables; empty where nobody uses them. */
export function readLegacyChains(
  family: Family,
  table: IptablesTableName,
  chains: readonly string[],
): ChainRules {
  return only(legacyTable(family, table) ?? parseSaved(''), chains);
}

const builtIn = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

function only(all: ChainRules, chains: readonly string[]): ChainRules {
  return {
    chains: all.chains.filter((name) => chains.includes(name)),
    rules: all.rules.filter(({ chain }) => chains.includes(chain)),
  };
}
