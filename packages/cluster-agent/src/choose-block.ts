/** Which block to claim: by chance one that looks free, so that nodes seldom want the same. What looks free is a hint; etcd
 *  decides. */
import { type Cidr, contains, parseCidr } from '@cni-ts/address/cidr';
import { compareIp, type Ip, parseIp } from '@cni-ts/address/ip';
import type { WantedRange } from '@cni-ts/cluster/agent-talk';
import { type Block, bitsOf, blockOf, isInside, lastOfBlock, lengthFor } from '@cni-ts/cluster/block';

/** A range as numbers. */
export interface NumberedRange {
  readonly family: 4 | 6;
  readonly start: bigint;
  readonly end: bigint;
  /** Length of the subnet's prefix: no block is larger. */
  readonly prefix: number;
  readonly exclude: readonly Cidr[];
}

/** Throws a sentence for a range that is none. */
export function numbered({ start, end, subnet, exclude }: WantedRange): NumberedRange {
  const [first, last, net] = [parseIp(start), parseIp(end), parseCidr(subnet)];
  if (!first || !last || !net || first.family !== last.family || first.family !== net.ip.family) {
    throw new Error(`the range ${start} to ${end} of ${subnet} is none`);
  }
  if (compareIp(first, last) > 0) throw new Error(`the range ${start} to ${end} ends before it begins`);
  return {
    family: first.family,
    start: numberOf(first),
    end: numberOf(last),
    prefix: net.prefix,
    exclude: exclude.map((text) => {
      const found = parseCidr(text.includes('/') ? text : `${text}/${first.family === 4 ? 32 : 128}`);
      if (!found) throw new Error(`the exclusion "${text}" is no CIDR`);
      return found;
    }),
  };
}

export interface Wish {
  readonly ranges: readonly NumberedRange[];
  /** As the configuration has it; else by the number of nodes. */
  readonly blockLength?: number | undefined;
  readonly nodes: number;
  /** Shortest length of the space's grid. */
  readonly largest: { readonly 4: number; readonly 6: number };
}

/** How many candidates are looked at one by one; of more some are drawn. */
const mostListed = 4096n;
const draws = 64;

/**
 * A block with an address of the ranges that none of `taken` meets, or undefined where there is none. Where no whole block
 * is left, a smaller one. `chance`: from 0 to below 1, as Math.random.
 */
export function chooseBlock(
  wish: Wish,
  taken: readonly Block[],
  chance: () => number = Math.random,
): Block | undefined {
  const lengths = wish.ranges.map((range) => lengthIn(range, wish));
  for (let smaller = 0; smaller <= 128; smaller++) {
    let any = false;
    for (const [i, range] of wish.ranges.entries()) {
      const length = lengths[i]! + smaller;
      if (length > bitsOf(range)) continue;
      any = true;
      const found = chooseIn(range, length, taken, chance);
      if (found) return found;
    }
    if (!any) return undefined;
  }
  return undefined;
}

/** Of a block in this range. */
export function lengthIn(
  range: NumberedRange,
  { blockLength, nodes, largest }: Omit<Wish, 'ranges'>,
): number {
  const { family, start, end } = range;
  const length = blockLength ?? lengthFor({ family, addresses: end - start + 1n }, nodes);
  return Math.min(bitsOf(range), Math.max(length, largest[family], range.prefix));
}

/** How many addresses of the block may be given. */
export function usableIn(block: Block, ranges: readonly NumberedRange[]): bigint {
  let count = 0n;
  const [low, high] = [numberOf(block.first), numberOf(lastOfBlock(block))];
  for (const { family, start, end, exclude } of ranges) {
    if (family !== block.first.family) continue;
    const [from, to] = [low > start ? low : start, high < end ? high : end];
    if (from > to) continue;
    count += to - from + 1n;
    for (const one of outermost(exclude)) {
      const [first, last] = edges(one);
      const [a, b] = [first > from ? first : from, last < to ? last : to];
      if (a <= b) count -= b - a + 1n;
    }
  }
  return count;
}

function chooseIn(
  range: NumberedRange,
  length: number,
  taken: readonly Block[],
  chance: () => number,
): Block | undefined {
  const shift = BigInt(bitsOf(range) - length);
  const first = range.start >> shift;
  const count = (range.end >> shift) - first + 1n;
  const its = taken.filter((one) => one.first.family === range.family && meets(one, range));
  const free = (index: bigint): Block | undefined => {
    const block = blockOf(ipOf(range.family, (first + index) << shift), length);
    if (its.some((one) => isInside(one, block) || isInside(block, one))) return undefined;
    return usableIn(block, [range]) > 0n ? block : undefined;
  };
  const many = count > mostListed;
  for (let i = 0; i < draws && (many || its.length * 2 < Number(count)); i++) {
    const found = free(below(count, chance));
    if (found) return found;
  }
  // Nearly full: every one from a place of chance on, at most so many.
  const from = below(count, chance);
  for (let i = 0n; i < count && i < mostListed; i++) {
    const found = free((from + i) % count);
    if (found) return found;
  }
  return undefined;
}

function meets(block: Block, { start, end }: NumberedRange): boolean {
  return numberOf(block.first) <= end && numberOf(lastOfBlock(block)) >= start;
}

/** A number below `count`. */
function below(count: bigint, chance: () => number): bigint {
  let number = 0n;
  for (let i = 0; i < 4; i++) number = (number << 32n) | BigInt(Math.floor(chance() * 2 ** 32));
  return number % count;
}

function outermost(cidrs: readonly Cidr[]): Cidr[] {
  return cidrs.filter(
    (one, i) =>
      !cidrs.some(
        (other, k) =>
          k !== i &&
          contains(other, one.ip) &&
          (other.prefix < one.prefix || (other.prefix === one.prefix && k < i)),
      ),
  );
}

function edges({ ip, prefix }: Cidr): [bigint, bigint] {
  const block = blockOf(ip, prefix);
  return [numberOf(block.first), numberOf(lastOfBlock(block))];
}

export function numberOf({ bytes }: Ip): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

export function ipOf(family: 4 | 6, number: bigint): Ip {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = number;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}
