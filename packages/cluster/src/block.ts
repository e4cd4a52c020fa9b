/** Blocks: ranges of addresses whose size is a power of two and that begin at a multiple of it. Nodes of a cluster borrow
 *  them; two blocks are either apart, or one lies in the other. */
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';

export interface Block {
  /** All bits after `length` are zero. */
  readonly first: Ip;
  /** Of the address' own family: at most 32 or 128, which is one address. */
  readonly length: number;
}

/** Bits of an address. */
export function bitsOf({ family }: Pick<Ip, 'family'>): number {
  return family === 4 ? 32 : 128;
}

/** How many addresses it has; of more than 2³⁰ that. */
export function sizeOf({ first, length }: Block): number {
  return 2 ** Math.min(30, bitsOf(first) - length);
}

/** The block of that length in which the address lies. */
export function blockOf(ip: Ip, length: number): Block {
  const bytes = new Uint8Array(ip.bytes); // not slice(): a Buffer's shares its memory
  let at = length >> 3;
  if (at < bytes.length) bytes[at] = bytes[at]! & ~(0xff >> (length & 7));
  while (++at < bytes.length) bytes[at] = 0;
  return { first: { family: ip.family, bytes }, length };
}

/** The block of one address. */
export function single(address: Ip): Block {
  return { first: address, length: bitsOf(address) };
}

/** Its highest address. (Each ADD asks for it, and calls of functions cost: plain steps.) */
export function lastOfBlock({ first, length }: Block): Ip {
  const bytes = new Uint8Array(first.bytes);
  let at = length >> 3;
  if (at < bytes.length) bytes[at] = bytes[at]! | (0xff >> (length & 7));
  while (++at < bytes.length) bytes[at] = 0xff;
  return { family: first.family, bytes };
}

/** Whether the whole other block lies in it. (Each ADD asks: plain steps.) */
export function isInside(block: Block, { first, length }: Block): boolean {
  if (first.family !== block.first.family || length < block.length) return false;
  const own = block.first.bytes;
  const whole = block.length >> 3;
  for (let i = 0; i < whole; i++) if (own[i] !== first.bytes[i]) return false;
  const rest = block.length & 7;
  return rest === 0 || (own[whole]! ^ first.bytes[whole]!) >> (8 - rest) === 0;
}

/** How a key of etcd names an address: 32 hexadecimal digits, so that the keys' order is the addresses'. An IPv4 address is
 *  written as the IPv6 address that stands for it (::ffff:10.0.0.1): both families share one order. */
export function addressKey({ family, bytes }: Ip): string {
  let digits = '';
  for (const byte of bytes) digits += byte < 16 ? `0${byte.toString(16)}` : byte.toString(16);
  return family === 4 ? `00000000000000000000ffff${digits}` : digits;
}

/** `‹32 digits›/‹3 digits›`: the block's first address, and its length of 128 bits (an IPv4 /26 is /122). */
export function blockKey({ first, length }: Block): string {
  return `${addressKey(first)}/${String(length + 128 - bitsOf(first)).padStart(3, '0')}`;
}

/** Reads what `blockKey` wrote; undefined for anything else. */
export function parseBlockKey(key: string): Block | undefined {
  if (!/^[0-9a-f]{32}\/[0-9]{3}$/.test(key)) return undefined;
  const ip = parseIp(key.slice(0, 32).match(/.{4}/g)!.join(':'))!; // eight groups of four hexadecimal digits are an address
  const length = Number(key.slice(33)) - 128 + bitsOf(ip);
  if (length < 0 || length > bitsOf(ip)) return undefined;
  const block = blockOf(ip, length);
  return addressKey(block.first) === key.slice(0, 32) ? block : undefined;
}

/** What `blockKey` wrote. Throws for anything else. */
export function blockOfKey(key: string): Block {
  const block = parseBlockKey(key);
  if (!block) throw new Error(`${key} names no block`);
  return block;
}

/** `10.0.0.64/26` */
export function blockText({ first, length }: Block): string {
  return `${formatIp(first)}/${length}`;
}

/** Every length of a block around this one that is not this one, largest block first. The enclosing blocks of a grid whose
 *  largest block has `largest` bits. */
export function enclosing(block: Block, largest: number): Block[] {
  const all: Block[] = [];
  for (let length = largest; length < block.length; length++) all.push(blockOf(block.first, length));
  return all;
}

/** How long a block should be (bits) where a range of so many bits of addresses is shared by so many nodes: an eighth of a
 *  node's part, at most 64 addresses, at least one. */
export function lengthFor(
  range: { readonly family: 4 | 6; readonly addresses: bigint },
  nodes: number,
): number {
  const most = 6n;
  const part = range.addresses / (8n * BigInt(Math.max(1, nodes)));
  let bits = 0n;
  while (bits < most && 2n << bits <= part) bits++;
  return bitsOf(range) - Number(bits);
}
