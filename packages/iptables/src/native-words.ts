import { type Cidr, formatCidr, maskOf } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import { sameBytes } from '@cni-ts/netlink/bytes';
import { textBeforeNul } from '@cni-ts/nftables/comment';
import { dataOf, type Expression } from '@cni-ts/nftables/expression';
import { compiledFor, type ListedRule, type Rule, sameRule } from '@cni-ts/nftables/rule';
import { protocols } from '@cni-ts/nftables/set';
import { conntrackStates } from './native-match.ts';
import type { Family } from './program.ts';
import { joinWords, withoutComment } from './words.ts';

/** What iptables asks of a packet before any extension, as iptables-save orders it. */
const order = ['-s', '-d', '-i', '-o', '-p'];

/** One comparison: what is loaded, the bits of it that count (all, if undefined), and the value. */
interface Comparison {
  readonly loaded: Expression;
  readonly mask: Uint8Array | undefined;
  readonly op: '==' | '!=';
  readonly value: Uint8Array;
  /** How many expressions it takes. */
  readonly length: number;
}

/**
 * A rule of iptables-nft in iptables-save's words: addresses, links by full name, protocols with their destination
 * ports, marks, connection states, local destinations, comments; verdicts, MASQUERADE, DNAT, MARK. Undefined for
 * anything else. A rule that `nft -f` has rewritten in nftables' own comparisons has the same words.
 */
export function nativeWords(
  family: Family,
  listed: Pick<ListedRule, 'expressions' | 'comment'>,
): string[] | undefined {
  const parts: { option: string; words: string[] }[] = [];
  const matches: string[] = [];
  let target: string[] = [];
  let protocol: string | undefined;
  const expressions = listed.expressions.filter(({ kind }) => kind !== 'counter');
  for (let i = 0; i < expressions.length; i++) {
    const one = expressions[i]!;
    const comparison = comparisonAt(expressions, i);
    if (comparison) {
      const part = operandOf(family, comparison);
      const match = part ? undefined : comparedExtension(comparison, protocol);
      if (part) {
        const [option, value] = part;
        if (option === '-p') protocol = value;
        parts.push({ option, words: [...(comparison.op === '!=' ? ['!'] : []), option, value] });
      } else if (match) matches.push(...match);
      else return undefined;
      i += comparison.length - 1;
      continue;
    }
    const match = extensionWords(one);
    if (match) matches.push(...match);
    else {
      const words = verdictWords(one) ?? targetWords(family, one);
      if (!words || target.length) return undefined;
      target = words;
    }
  }
  if (listed.comment !== undefined && !matches.includes('--comment')) {
    matches.push('-m', 'comment', '--comment', listed.comment);
  }
  parts.sort((a, b) => order.indexOf(a.option) - order.indexOf(b.option));
  return [...parts.flatMap(({ words }) => words), ...matches, ...target];
}

/**
 * Whether a rule in a table of iptables is this one, in whatever form it stands there by now: iptables-restore makes
 * its own matches of nft's comparisons and comments, `nft -f` the reverse, and loses the comments of iptables.
 * `orLost`: one that lost its comment counts too.
 */
export function sameInWords(
  family: Family,
  ours: Rule,
  listed: ListedRule,
  { orLost = false } = {},
): boolean {
  const program = compiledFor(family === 4 ? 'ip' : 'ip6', ours);
  const isLost = orLost && listed.comment === undefined;
  if (listed.comment !== program.comment && !isLost) return false;
  if (sameRule(program.family, ours, listed)) return true; // nobody has touched it
  const wanted = textsOf(family, program);
  const there = textsOf(family, listed);
  if (!wanted || !there) return false;
  return there.text === wanted.text || (orLost && there.text === wanted.bare);
}

interface Texts {
  readonly text: string;
  /** Without the comment. */
  readonly bare: string;
}

/** Each rule is compared with many. */
const known = new WeakMap<object, Texts | undefined>();

function textsOf(family: Family, of: Pick<ListedRule, 'expressions' | 'comment'>): Texts | undefined {
  if (known.has(of)) return known.get(of);
  const words = nativeWords(family, of);
  const texts = words && { text: joinWords(words), bare: joinWords(withoutComment(words)) };
  known.set(of, texts);
  return texts;
}

function comparisonAt(expressions: readonly Expression[], at: number): Comparison | undefined {
  const loaded = expressions[at]!;
  if (loaded.kind !== 'payload' && loaded.kind !== 'meta' && loaded.kind !== 'ct') return undefined;
  const masking = expressions[at + 1] && dataOf(expressions[at + 1]!, 'bitwise');
  const length = masking ? 3 : 2;
  const compared = expressions[at + length - 1] && dataOf(expressions[at + length - 1]!, 'cmp');
  const [op, value] = [compared?.op, compared?.data?.value];
  if ((op !== '==' && op !== '!=') || !value) return undefined;
  const mask = masking?.mask?.value;
  const plain = masking === undefined || (mask && masking.xor?.value?.every((byte) => byte === 0));
  return plain ? { loaded, mask, op, value, length } : undefined;
}

function operandOf(family: Family, { loaded, mask, value }: Comparison): [string, string] | undefined {
  const key = dataOf(loaded, 'meta')?.key ?? 0;
  const link = mask ? undefined : { 6: '-i', 7: '-o' }[key];
  if (link) {
    // Without the NUL it is the beginning of a name.
    const text = new TextDecoder().decode(value);
    return [link, text.endsWith('\0') ? text.replace(/\0+$/, '') : `${text}+`];
  }
  const load = dataOf(loaded, 'payload');
  // Older versions look into the IPv4 header for the protocol.
  const protocolField = load?.base === 'network' && load.length === 1 && family === 4 && load.offset === 9;
  if (!mask && (key === 16 || protocolField)) {
    const name = Object.entries(protocols).find(([, number]) => number === value[0])?.[0];
    return name === undefined ? undefined : ['-p', name];
  }
  if (load?.base !== 'network' || load.length !== value.length) return undefined;
  const [source, destination] = family === 4 ? [12, 16] : [8, 24];
  if (load.offset !== source && load.offset !== destination) return undefined;
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  bytes.set(value);
  const prefix = mask ? prefixOf(family, mask) : value.length * 8;
  if (prefix === undefined) return undefined;
  const cidr: Cidr = { ip: { family, bytes }, prefix };
  return [load.offset === source ? '-s' : '-d', formatCidr(cidr)];
}

/** Undefined for a mask with gaps, or of a part of the address. */
function prefixOf(family: Family, mask: Uint8Array): number | undefined {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const prefix = bits.lastIndexOf('1') + 1;
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const whole = maskOf({ ip: { family, bytes }, prefix });
  return sameBytes(whole, mask) ? prefix : undefined;
}

/** Newer versions write some extensions as nftables' own comparisons: destination port and mark. */
function comparedExtension(
  { loaded, mask, op, value }: Comparison,
  protocol: string | undefined,
): string[] | undefined {
  if (loaded.kind === 'ct') return stateWords(loaded, op, value, mask);
  if (op !== '==') return undefined;
  const load = dataOf(loaded, 'payload');
  if (load?.base === 'transport' && load.offset === 2 && value.length === 2 && !mask && protocol) {
    return ['-m', protocol, '--dport', String((value[0]! << 8) | value[1]!)];
  }
  if (dataOf(loaded, 'meta')?.key !== 3 || value.length !== 4) return undefined;
  return markWords(hostWord(value, 0), mask ? hostWord(mask, 0) : 0xffffffff);
}

/** Bits of `ct state` and `ct status` as nft asks for them: whether one of some bits is set. */
const stateBits = { 1: 'INVALID', 8: 'NEW', 4: 'RELATED', 2: 'ESTABLISHED', 64: 'UNTRACKED' } as const;
const statusBits = { 16: 'SNAT', 32: 'DNAT' } as const;

function stateWords(
  loaded: Expression,
  op: '==' | '!=',
  value: Uint8Array,
  mask: Uint8Array | undefined,
): string[] | undefined {
  const key = dataOf(loaded, 'ct')?.key;
  if (op !== '!=' || mask?.length !== 4 || value.some((byte) => byte !== 0)) return undefined;
  const known: Record<number, string> | undefined =
    key === 0 ? stateBits : key === 2 ? statusBits : undefined;
  if (!known) return undefined;
  const bits = hostWord(mask, 0);
  const names: string[] = [];
  let rest = bits;
  for (const [bit, name] of Object.entries(known)) {
    if ((bits & Number(bit)) === 0) continue;
    names.push(name);
    rest &= ~Number(bit);
  }
  if (rest !== 0) return undefined;
  return ctstate((name) => names.includes(name));
}

function ctstate(isMeant: (name: string, bit: number) => boolean): string[] {
  const names = Object.entries(conntrackStates).filter(([name, bit]) => isMeant(name, bit));
  return ['-m', 'conntrack', '--ctstate', names.map(([name]) => name).join(',')];
}

function hostWord(bytes: Uint8Array, at: number): number {
  return viewOf(bytes).getUint32(at, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function markWords(mark: number, mask: number): string[] {
  return ['-m', 'mark', '--mark', mask === 0xffffffff ? hex(mark) : `${hex(mark)}/${hex(mask)}`];
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** struct xt_conntrack_mtinfo3, include/uapi/linux/netfilter/xt_conntrack.h: where its last members lie. */
const conntrackInfo = { matchFlags: 146, invertFlags: 148, stateMask: 150 } as const;
const XT_CONNTRACK_STATE = 1;
const XT_MULTIPORT_DESTINATION = 1;
const RTN_LOCAL = 2;

/** The structures are those of include/uapi/linux/netfilter/xt_*.h. */
function extensionWords(one: Expression): string[] | undefined {
  const match = dataOf(one, 'match');
  if (!match?.info) return undefined;
  const { info } = match;
  const view = viewOf(info);
  switch (`${match.name} ${match.revision ?? 0}`) {
    case 'comment 0':
      return ['-m', 'comment', '--comment', textBeforeNul(info)];
    case 'conntrack 3': {
      const flags = view.getUint16(conntrackInfo.matchFlags, true);
      if (flags !== XT_CONNTRACK_STATE || view.getUint16(conntrackInfo.invertFlags, true)) return undefined;
      const mask = view.getUint16(conntrackInfo.stateMask, true);
      return ctstate((_, bit) => (mask & bit) !== 0);
    }
    case 'tcp 0':
    case 'udp 0': {
      const anySource = view.getUint16(0, true) === 0 && view.getUint16(2, true) === 0xffff;
      const [first, last] = [view.getUint16(4, true), view.getUint16(6, true)];
      const more = info.subarray(8).some((byte) => byte !== 0);
      return anySource && first === last && !more ? portWords(match.name, first) : undefined;
    }
    case 'sctp 0': {
      const [first, last] = [view.getUint16(0, true), view.getUint16(2, true)];
      const onlyDestination = view.getUint32(284, true) === 2 && view.getUint32(288, true) === 0;
      return onlyDestination && first === last ? portWords(match.name, first) : undefined;
    }
    case 'multiport 1': {
      const count = info[1] ?? 0;
      const plain = info[0] === XT_MULTIPORT_DESTINATION && !info.subarray(32).some((byte) => byte !== 0);
      const ports = Array.from({ length: count }, (_, i) => view.getUint16(2 + 2 * i, true));
      return plain ? ['-m', 'multiport', '--dports', ports.join(',')] : undefined;
    }
    case 'mark 1':
      return info[8] ? undefined : markWords(view.getUint32(0, true), view.getUint32(4, true));
    case 'addrtype 1': {
      const local = view.getUint16(0, true) === 0 && view.getUint16(2, true) === 1 << RTN_LOCAL;
      const more = info.subarray(4).some((byte) => byte !== 0);
      return local && !more ? ['-m', 'addrtype', '--dst-type', 'LOCAL'] : undefined;
    }
    default:
      return undefined;
  }
}

function portWords(protocol: string | undefined, port: number): string[] {
  return ['-m', protocol ?? '', '--dport', String(port)];
}

function verdictWords(one: Expression): string[] | undefined {
  const verdict = dataOf(one, 'immediate')?.data?.verdict;
  if (verdict?.code === undefined) return undefined;
  const code = verdict.code | 0;
  if (verdict.chain !== undefined) return [code === -4 ? '-g' : '-j', verdict.chain];
  const name = { 0: 'DROP', 1: 'ACCEPT', [-5]: 'RETURN' }[code];
  return name === undefined ? undefined : ['-j', name];
}

function targetWords(family: Family, one: Expression): string[] | undefined {
  const target = dataOf(one, 'target');
  if (!target?.info) return undefined;
  const { info } = target;
  const view = viewOf(info);
  switch (`${target.name} ${target.revision ?? 0}`) {
    case 'MASQUERADE 0': {
      // The number of ranges, which is one, stands before IPv4's.
      const range = info.subarray(family === 4 ? 4 : 0);
      return range.some((byte) => byte !== 0) ? undefined : ['-j', 'MASQUERADE'];
    }
    case 'DNAT 2': {
      const length = family === 4 ? 4 : 16;
      const [first, last] = [info.slice(4, 4 + length), info.slice(20, 20 + length)];
      const [port, lastPort] = [view.getUint16(36), view.getUint16(38)];
      const plain = view.getUint32(0, true) === 3 && sameBytes(first, last) && port === lastPort;
      if (!plain) return undefined;
      const host = formatIp({ family, bytes: first });
      return ['-j', 'DNAT', '--to-destination', `${family === 4 ? host : `[${host}]`}:${port}`];
    }
    case 'MARK 2':
      return ['-j', 'MARK', '--set-xmark', `${hex(view.getUint32(0, true))}/${hex(view.getUint32(4, true))}`];
    default:
      return undefined;
  }
}
