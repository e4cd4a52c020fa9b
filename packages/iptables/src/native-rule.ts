import { parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import type { Netlink } from '@cni-ts/netlink/socket';
import { accept, counter, jump, toCaller } from '@cni-ts/nftables/action';
import { createChain } from '@cni-ts/nftables/chain';
import type { Protocol } from '@cni-ts/nftables/match';
import { addRule, insertRule, type Rule, rule, type Statement } from '@cni-ts/nftables/rule';
import { protocols } from '@cni-ts/nftables/set';
import { type Change, NftablesError, transaction } from '@cni-ts/nftables/transaction';
import { xtAddress, xtComment, xtMark, xtMultiport, xtPort, xtProtocol, xtToLocal } from './native-match.ts';
import { iptablesNftTable } from './native-table.ts';
import { xtDnat, xtMasquerade, xtSetMark } from './native-target.ts';
import { type Family, programName, requireProgram, variantOf } from './program.ts';
import type { IptablesTableName } from './restore.ts';

/** Whether the iptables-restore in PATH writes to nf_tables. Throws IptablesError if there is none. */
export function isNft(family: Family): boolean {
  return variantOf(requireProgram(programName(family, 'restore'))) === 'nft';
}

/** A rule as a chain gets it. */
export interface NewRule {
  readonly chain: string;
  readonly words: readonly string[];
  /** As the chain's first; otherwise its last. */
  readonly first?: boolean;
}

/**
 * Chains that are not there yet and rules of them and others: the changes for netlink. Undefined where only the
 * program understands the rules. `comments`: of new chains by name; iptables does not see them. The transaction is refused, with an NftablesError, where such a chain is there by
 * now, another one is not, or the kernel does not know these forms: then let the program do it.
 */
export function nativeAdditions(
  family: Family,
  tableName: IptablesTableName,
  newChains: readonly string[],
  rules: readonly NewRule[],
  comments: Readonly<Record<string, string>> = {},
): Change[] | undefined {
  const table = iptablesNftTable(family, tableName);
  const changes = newChains.map((name) => {
    const comment = comments[name];
    return createChain(comment === undefined ? { table, name } : { table, name, comment });
  });
  for (const { chain, words, first } of rules) {
    const native = nativeRule(family, words);
    if (!native) return undefined;
    changes.push((first ? insertRule : addRule)({ table, name: chain }, native));
  }
  return changes;
}

/** What nativeAdditions made for a family. */
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

/**
 * The rule that iptables-nft makes of these words, for writing it by netlink; undefined where they hold anything that
 * only the program understands. Known are `-s`, `-d` (also negated), `-p` with `-m tcp --dport` or
 * `-m multiport --dports`, `-m comment`, `-m mark`, `-m addrtype --dst-type LOCAL`; ACCEPT, RETURN, MASQUERADE, DNAT,
 * MARK and chains.
 */
export function nativeRule(family: Family, words: readonly string[]): Rule | undefined {
  if (endsLine(words.join(' '))) return undefined; // the program's language has no such words
  const sides: Partial<Record<'-s' | '-d', Statement>> = {};
  let protocol: Protocol | undefined;
  const matches: Statement[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const negated = words[at] === '!';
    if (negated) at++;
    const option = words[at];
    const value = words[at + 1];
    if (value === undefined) return undefined;
    if (option === '-s' || option === '-d') {
      const side = sides[option] ? undefined : addressMatch(family, option, negated, value);
      if (!side) return undefined;
      sides[option] = side;
      continue;
    }
    if (negated) return undefined;
    if (option === '-j') {
      const target = targetOf(family, value, words.slice(at + 2));
      if (!target) return undefined;
      const statements = protocol ? [xtProtocol(protocol)] : [];
      return rule(...statements.concat(Object.values(sides), matches, counter, target));
    }
    if (option === '-p' && !protocol) {
      protocol = protocolOf(value);
      if (!protocol) return undefined;
    } else if (option === '-m') {
      const match = extensionMatch(protocol, value, words[at + 2], words[at + 3]);
      if (!match) return undefined;
      matches.push(match);
      at += 2;
    } else return undefined;
  }
  return undefined;
}

function protocolOf(name: string): Protocol | undefined {
  // reason: the key was looked up in the table of protocols
  return Object.hasOwn(protocols, name) ? (name as Protocol) : undefined;
}

function addressMatch(
  family: Family,
  option: '-s' | '-d',
  negated: boolean,
  text: string,
): Statement | undefined {
  const cidr = parseCidr(text);
  if (cidr?.ip.family !== family || cidr.prefix === 0) return undefined;
  return xtAddress(option === '-s' ? 'source' : 'destination', negated ? '!=' : '==', cidr);
}

function extensionMatch(
  protocol: Protocol | undefined,
  name: string,
  option: string | undefined,
  value: string | undefined,
): Statement | undefined {
  if (value === undefined) return undefined;
  if (name === 'comment' && option === '--comment') {
    return new TextEncoder().encode(value).length <= 255 ? xtComment(value) : undefined;
  }
  if (name === 'addrtype' && option === '--dst-type' && value === 'LOCAL') return xtToLocal;
  if (name === 'mark' && option === '--mark') return marked(value, xtMark);
  if (!protocol) return undefined;
  const ports = value.split(',');
  if (!ports.every(isPort)) return undefined;
  if (name === protocol && option === '--dport' && ports.length === 1) return xtPort(protocol, Number(value));
  if (name === 'multiport' && option === '--dports' && ports.length <= 15)
    return xtMultiport(ports.map(Number));
  return undefined;
}

/** Of `0x2000/0x2000`. */
function marked(text: string, make: (mark: number, mask: number) => Statement): Statement | undefined {
  const [mark = '', mask = '', more] = text.split('/');
  const bits = Number(mark);
  const maskBits = Number(mask);
  // Only what is written as the program would: other numbers it may know better.
  const known = more === undefined && mark === hex(bits) && mask === hex(maskBits);
  return known && bits <= 0xffffffff && maskBits <= 0xffffffff ? make(bits, maskBits) : undefined;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function isPort(text: string): boolean {
  const port = Number(text);
  return String(port) === text && Number.isInteger(port) && port >= 0 && port <= 0xffff;
}

/* Three looks take half of what a regular expression does. */
function endsLine(text: string): boolean {
  return text.includes('\n') || text.includes('\r') || text.includes('\0');
}

function targetOf(family: Family, name: string, more: readonly string[]): Statement | undefined {
  if (name === 'DNAT') {
    const option = more[0];
    const to = more[1] ?? '';
    const colon = to.lastIndexOf(':');
    const host = to.slice(0, colon);
    const address = parseIp(host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);
    const port = to.slice(colon + 1);
    const known = more.length === 2 && option === '--to-destination' && address?.family === family;
    return known && isPort(port) ? xtDnat(address, Number(port)) : undefined;
  }
  if (name === 'MARK') {
    const option = more[0];
    const value = more[1] ?? '';
    return more.length === 2 && option === '--set-xmark' ? marked(value, xtSetMark) : undefined;
  }
  if (more.length) return undefined;
  switch (name) {
    case 'ACCEPT':
      return accept;
    case 'RETURN':
      return toCaller;
    case 'MASQUERADE':
      return xtMasquerade(family);
    default:
      // Another target's name is no chain: the kernel says so.
      return jump({ table: iptablesNftTable(family, 'nat'), name });
  }
}
