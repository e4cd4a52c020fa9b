import type { Cidr } from '@cni-ts/address/cidr';
import { protocols } from './data-type.ts';
import { dataOf, type Expression } from './expression.ts';

/** What of a packet, or of its connection, a rule looks at: see field.ts for how each is loaded. */
export type ComparedField =
  | 'saddr'
  | 'daddr'
  | 'iifname'
  | 'oifname'
  | 'protocol'
  | 'dport'
  | 'mark'
  | 'ct state'
  | 'ct status'
  | 'ether saddr'
  | 'fib daddr type';

/** One comparison in a rule: a field, the bits of it that count (all, if undefined), and the value. */
export interface Comparison {
  /** Undefined for what none of our rules looks at. */
  readonly field: ComparedField | undefined;
  /** Of an address. */
  readonly family: 4 | 6;
  readonly op: '==' | '!=';
  readonly value: Uint8Array;
  readonly mask: Uint8Array | undefined;
  /** How many instructions it takes. */
  readonly length: 2 | 3;
}

/**
 * The comparison that begins with this instruction: loaded, perhaps masked, compared. This is the one place that tells
 * what a field in the kernel's rules is compared with, whoever wrote the rule: nft, iptables-nft or ourselves.
 * Undefined where none begins, or where it is one of size.
 */
export function comparisonAt(expressions: readonly Expression[], at: number): Comparison | undefined {
  const loaded = expressions[at]!;
  const { kind } = loaded;
  if (kind !== 'payload' && kind !== 'meta' && kind !== 'ct' && kind !== 'fib') return undefined;
  let next = expressions[at + 1];
  const masking = next && dataOf(next, 'bitwise');
  if (masking) next = expressions[at + 2];
  const compared = next && dataOf(next, 'cmp');
  const op = compared?.op;
  const value = compared?.data?.value;
  if ((op !== '==' && op !== '!=') || !value) return undefined;
  const mask = masking?.mask?.value;
  if (masking && !(mask && masking.xor?.value?.every((byte) => byte === 0))) return undefined;
  const field = fieldOf(loaded, value.length);
  const family = field?.endsWith('addr') && isIpv6(loaded) ? 6 : 4;
  return { field, family, op, value, mask, length: masking ? 3 : 2 };
}

/** The first value that a field is compared with in a rule. */
export function firstCompared(
  expressions: readonly Expression[],
  ...fields: readonly ComparedField[]
): Comparison | undefined {
  for (let at = 0; at < expressions.length; at++) {
    const found = comparisonAt(expressions, at);
    if (found?.field && fields.includes(found.field)) return found;
  }
  return undefined;
}

/** NFT_META_*, include/uapi/linux/netfilter/nf_tables.h */
const metaFields: Readonly<Record<number, ComparedField>> = {
  3: 'mark',
  6: 'iifname',
  7: 'oifname',
  16: 'protocol',
};
const ctFields: Readonly<Record<number, ComparedField>> = { 0: 'ct state', 2: 'ct status' };
/** Where addresses begin in the headers of IPv4 and IPv6, which are four different places. */
const addressFields: Readonly<Record<number, ComparedField>> = {
  12: 'saddr',
  16: 'daddr',
  8: 'saddr',
  24: 'daddr',
};
const ipv4Protocol = 9;
const ipv6NextHeader = 6;
const NFTA_FIB_F_DADDR = 2;

function fieldOf(loaded: Expression, length: number): ComparedField | undefined {
  const key = dataOf(loaded, 'meta')?.key;
  if (key !== undefined) return metaFields[key];
  const connection = dataOf(loaded, 'ct');
  if (connection) return connection.direction ? undefined : ctFields[connection.key ?? -1];
  const looked = dataOf(loaded, 'fib');
  if (looked)
    return looked.result === 'type' && looked.flags === NFTA_FIB_F_DADDR ? 'fib daddr type' : undefined;
  const payload = dataOf(loaded, 'payload');
  if (payload?.length !== length) return undefined;
  const { base, offset } = payload;
  if (base === 'transport') return offset === 2 && length === 2 ? 'dport' : undefined;
  if (base === 'link') return offset === 6 && length === 6 ? 'ether saddr' : undefined;
  // Older versions of iptables look into the header for the protocol.
  if (length === 1 && (offset === ipv4Protocol || offset === ipv6NextHeader)) return 'protocol';
  return addressFields[offset ?? -1];
}

function isIpv6(loaded: Expression): boolean {
  const offset = dataOf(loaded, 'payload')?.offset;
  return offset === 8 || offset === 24;
}

/** The name of a protocol with ports, by its number. */
export function protocolName(number: number | undefined): keyof typeof protocols | undefined {
  for (const name in protocols) {
    const known = name as keyof typeof protocols; // reason: the table's own keys
    if (protocols[known] === number) return known;
  }
  return undefined;
}

/** The address or network that a comparison of an address is about; undefined for a mask with gaps. */
export function comparedNetwork({ family, value, mask }: Comparison): Cidr | undefined {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  if (value.length > bytes.length) return undefined;
  bytes.set(value);
  const prefix = mask ? prefixOf(mask, bytes.length) : value.length * 8;
  return prefix === undefined ? undefined : { ip: { family, bytes }, prefix };
}

function prefixOf(mask: Uint8Array, length: number): number | undefined {
  if (mask.length !== length) return undefined;
  let prefix = 0;
  while (prefix < length * 8 && mask[prefix >> 3]! & (0x80 >> (prefix & 7))) prefix++;
  for (let at = prefix; at < length * 8; at++) if (mask[at >> 3]! & (0x80 >> (at & 7))) return undefined;
  return prefix;
}

/** The link's name; without the NUL that ends it, it is the beginning of one, as iptables writes that: `veth+`. */
export function comparedName({ value }: Comparison): string {
  const end = value.indexOf(0);
  const text = new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  return end < 0 ? `${text}+` : text;
}
