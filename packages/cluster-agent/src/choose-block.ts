/** Which block to claim: by chance one that looks free, so that nodes seldom want the same. What looks free is a hint; etcd
 *  decides. */
import { parseCidr } from '@cni-ts/address/cidr';
import { compareIp, type Ip, numberOf, parseIp } from '@cni-ts/address/ip';
import type { WantedRange } from '@cni-ts/cluster/agent-talk';
import { type Block, bitsOf, blockOf, lastOfBlock, lengthFor } from '@cni-ts/cluster/block';

/** A range as numbers. */
export interface NumberedRange {
  readonly family: 4 | 6;
  readonly start: bigint;
  readonly end: bigint;
  /** Length of the subnet's prefix: no block is larger. */
  readonly prefix: number;
  /** Addresses that are not given, from the first to the last of each span; in order, and apart. */
  readonly exclude: readonly Span[];
}

/** Both included. */
type Span = readonly [first: bigint, last: bigint];

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
    exclude: apart(
      exclude.flatMap((text) => {
        const found = parseCidr(text.includes('/') ? text : `${text}/${bitsOf(first)}`);
        if (!found) throw new Error(`the exclusion "${text}" is no CIDR`);
        return found.ip.family === first.family ? [spanOf(blockOf(found.ip, found.prefix))] : [];
      }),
    ),
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
  const inTheWay = wish.ranges.map((range) => {
    const its = taken.filter(({ first }) => first.family === range.family).map(spanOf);
    return apart(its.filter(([first, last]) => first <= range.end && last >= range.start));
  });
  for (let smaller = 0; smaller <= 128; smaller++) {
    let any = false;
    for (const [i, range] of wish.ranges.entries()) {
      const length = lengths[i]! + smaller;
      if (length > bitsOf(range)) continue;
      any = true;
      const found = chooseIn(range, length, inTheWay[i]!, chance);
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
  const [low, high] = spanOf(block);
  for (const { family, start, end, exclude } of ranges) {
    if (family !== block.first.family) continue;
    const [from, to] = [low > start ? low : start, high < end ? high : end];
    if (from > to) continue;
    count += to - from + 1n;
    for (const [first, last] of exclude) {
      const [a, b] = [first > from ? first : from, last < to ? last : to];
      if (a <= b) count -= b - a + 1n;
    }
  }
  return count;
}

function chooseIn(
  range: NumberedRange,
  length: number,
  inTheWay: readonly Span[],
  chance: () => number,
): Block | undefined {
  const shift = BigInt(bitsOf(range) - length);
  const first = range.start >> shift;
  const count = (range.end >> shift) - first + 1n;
  const free = (index: bigint): Block | undefined => {
    const start = (first + index) << shift;
    if (meets(inTheWay, start, start + (1n << shift) - 1n)) return undefined;
    const block = blockOf(ipOf(range.family, start), length);
    return usableIn(block, [range]) > 0n ? block : undefined;
  };
  const many = count > mostListed;
  for (let i = 0; i < draws && (many || inTheWay.length * 2 < Number(count)); i++) {
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

function spanOf(block: Block): Span {
  return [numberOf(block.first), numberOf(lastOfBlock(block))];
}

/** The same addresses in spans that are in order, and of which no two meet. */
function apart(spans: readonly Span[]): Span[] {
  const all: [first: bigint, last: bigint][] = [];
  for (const [first, last] of spans.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const before = all.at(-1);
    if (!before || first > before[1]) all.push([first, last]);
    else if (last > before[1]) before[1] = last;
  }
  return all;
}

/** Whether one of them has an address from first to last. There may be thousands, and as many that are asked about. */
function meets(spans: readonly Span[], first: bigint, last: bigint): boolean {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]![1] >= first) high = middle;
    else low = middle + 1;
  }
  return low < spans.length && spans[low]![0] <= last;
}

/** A number below `count`. */
function below(count: bigint, chance: () => number): bigint {
  let number = 0n;
  for (let i = 0; i < 4; i++) number = (number << 32n) | BigInt(Math.floor(chance() * 2 ** 32));
  return number % count;
}

function ipOf(family: 4 | 6, number: bigint): Ip {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = number;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}
