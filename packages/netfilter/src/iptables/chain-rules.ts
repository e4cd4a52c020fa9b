import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import type { Netlink } from '@cni-ts/netlink/socket';
import { findChain } from '../nftables/chain.ts';
import { dataOf, type Expression } from '../nftables/expression.ts';
import { type ListedRule, listRules, mentions } from '../nftables/rule.ts';
import type { Table } from '../nftables/table.ts';
import { legacyTable } from './jump.ts';
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
  const there = chains.filter((name) => findChain(nl, { table: owner, name }));
  const rules: ChainRule[] = [];
  for (const chain of there) {
    for (const listed of listRules(nl, owner, chain)) {
      // A comment outside the expressions, as some versions have it, is not searched.
      const may = !about || listed.comment !== undefined || about.some((bytes) => mentions(listed, bytes));
      if (!may) continue;
      const words = ruleWords(family, listed);
      // Another version of iptables may write a rule in other instructions: only it knows. In built-in chains
      // strangers' rules are to be expected, and ours there are simple.
      if (!words && !builtIn.has(chain)) {
        const program = findVariant(family, 'save', 'nft');
        if (program !== undefined) return only(save(family, table, program), chains);
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

/** Where iptables-nft keeps a table. */
export function iptablesNftTable(family: Family, name: IptablesTableName): Table {
  return { family: family === 4 ? 'ip' : 'ip6', name };
}

const builtIn = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

function only(all: ChainRules, chains: readonly string[]): ChainRules {
  return {
    chains: all.chains.filter((name) => chains.includes(name)),
    rules: all.rules.filter(({ chain }) => chains.includes(chain)),
  };
}

/**
 * A rule of iptables-nft in iptables-save's words: addresses of whole bytes' prefix, links by full name, connection
 * states, comment, target. Undefined for anything else.
 */
function ruleWords(family: Family, listed: ListedRule): string[] | undefined {
  const parts: { option: string; words: string[] }[] = [];
  const matches: string[] = [];
  let target: string[] = [];
  const expressions = listed.expressions.filter(({ kind }) => kind !== 'counter');
  for (let i = 0; i < expressions.length; i++) {
    const one = expressions[i]!;
    const compared = expressions[i + 1] && dataOf(expressions[i + 1]!, 'cmp');
    const operand = operandOf(family, one, compared?.data?.value);
    if (operand) {
      if (compared?.op !== '==' && compared?.op !== '!=') return undefined;
      const [option, value] = operand;
      parts.push({ option, words: [...(compared.op === '!=' ? ['!'] : []), option, value] });
      i++;
      continue;
    }
    const match = matchWords(one);
    if (match) matches.push(...match);
    else {
      const words = targetWords(one);
      if (!words || target.length) return undefined;
      target = words;
    }
  }
  if (listed.comment !== undefined) matches.push('-m', 'comment', '--comment', listed.comment);
  parts.sort((a, b) => order.indexOf(a.option) - order.indexOf(b.option));
  return [...parts.flatMap(({ words }) => words), ...matches, ...target];
}

/** As iptables-save prints them, whatever order the kernel has them in. */
const order = ['-s', '-d', '-i', '-o'];

function operandOf(
  family: Family,
  one: Expression,
  value: Uint8Array | undefined,
): [string, string] | undefined {
  if (!value) return undefined;
  const link = { 6: '-i', 7: '-o' }[dataOf(one, 'meta')?.key ?? 0];
  if (link) {
    // Without the NUL it is the beginning of a name.
    const text = new TextDecoder().decode(value);
    return [link, text.endsWith('\0') ? text.replace(/\0+$/, '') : `${text}+`];
  }
  const load = dataOf(one, 'payload');
  if (load?.base !== 'network' || load.length !== value.length) return undefined;
  const [source, destination] = family === 4 ? [12, 16] : [8, 24];
  if (load.offset !== source && load.offset !== destination) return undefined;
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  bytes.set(value);
  const cidr: Cidr = { ip: { family, bytes }, prefix: value.length * 8 };
  return [load.offset === source ? '-s' : '-d', formatCidr(cidr)];
}

/** struct xt_conntrack_mtinfo3, include/uapi/linux/netfilter/xt_conntrack.h: where its last members lie. */
const conntrackInfo = { matchFlags: 146, invertFlags: 148, stateMask: 150 } as const;
const XT_CONNTRACK_STATE = 1;
const conntrackStates = { INVALID: 1, NEW: 8, RELATED: 4, ESTABLISHED: 2, UNTRACKED: 64 } as const;

function matchWords(one: Expression): string[] | undefined {
  const match = dataOf(one, 'match');
  if (!match?.info) return undefined;
  if (match.name === 'comment') {
    const text = new TextDecoder().decode(match.info).replace(/\0[\s\S]*$/, '');
    return ['-m', 'comment', '--comment', text];
  }
  if (match.name !== 'conntrack' || match.revision !== 3) return undefined;
  const view = new DataView(match.info.buffer, match.info.byteOffset, match.info.length);
  const flags = view.getUint16(conntrackInfo.matchFlags, true);
  if (flags !== XT_CONNTRACK_STATE || view.getUint16(conntrackInfo.invertFlags, true) !== 0) return undefined;
  const mask = view.getUint16(conntrackInfo.stateMask, true);
  const states = Object.entries(conntrackStates).filter(([, bit]) => mask & bit);
  return ['-m', 'conntrack', '--ctstate', states.map(([name]) => name).join(',')];
}

function targetWords(one: Expression): string[] | undefined {
  const verdict = dataOf(one, 'immediate')?.data?.verdict;
  if (verdict?.code === undefined) return undefined;
  const code = verdict.code | 0;
  if (verdict.chain !== undefined) return [code === -4 ? '-g' : '-j', verdict.chain];
  const name = { 0: 'DROP', 1: 'ACCEPT', [-5]: 'RETURN' }[code];
  return name === undefined ? undefined : ['-j', name];
}
