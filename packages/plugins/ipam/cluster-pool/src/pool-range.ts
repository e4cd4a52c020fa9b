/** One range of addresses as whereabouts writes it, what is never given of it, and what of it lies in a node's blocks. */
import {
  type Cidr,
  contains,
  formatCidr,
  hostCidr,
  lastOf,
  networkOf,
  parseCidr,
} from '@cni-ts/address/cidr';
import { compareIp, formatIp, type Ip, nextIp, parseIp, previousIp } from '@cni-ts/address/ip';
import { type Block, lastOfBlock } from '@cni-ts/cluster/block';
import type { Range, RangeSet } from '@cni-ts/ipam-kit/ranges';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';

/** One address of it goes to every attachment. */
export interface PoolRange {
  /** Where it stands in the configuration: `ipam.ipRanges[0]`. */
  readonly field: string;
  /** A single range. Its gateway is the configuration's, or an address that is not in it. */
  readonly set: RangeSet;
  /** In the result. */
  readonly gateway: Ip | undefined;
  readonly exclude: readonly Exclusion[];
  /** Of a block, in bits; from the number of nodes where it is undefined. */
  readonly blockLength: number | undefined;
}

export interface RangeText {
  readonly range?: string | undefined;
  readonly range_start?: string | undefined;
  readonly range_end?: string | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly enable_l3?: boolean | undefined;
}

/** What all ranges of a network have. */
export interface RangesShare {
  readonly gateway: Ip | undefined;
  /** Without those of each range. */
  readonly exclude: readonly Exclusion[];
  readonly enableL3: boolean;
  readonly sliceSize: string;
}

/** An address, or several, that nobody gets. */
export interface Exclusion {
  readonly field: string;
  readonly cidr: Cidr;
}

/** An error of one field: the sentence says which and what may stand there. */
export function fieldError(field: string, why: string, details = ''): CniError {
  return new CniError(ErrorCode.invalidConfig, `${field}: ${why}`, details);
}

/** Throws a CniError (7) that names the field. `isTop`: its exclusions are the shared ones. (Each ADD reads its ranges anew:
 *  what is not there takes no step.) */
export function poolRange(text: RangeText, field: string, share: RangesShare, isTop: boolean): PoolRange {
  const at = `${field}.range`;
  const { subnet, ends } = subnetOf(text, at);
  const network = subnet.ip;
  const { family } = network;
  const isL3 = text.enable_l3 ?? share.enableL3;
  if (!isL3 && network.bytes.length * 8 - subnet.prefix < 2) {
    throw fieldError(
      at,
      `${formatCidr(subnet)} has no room: a network needs two addresses besides those of its ends`,
      'write a shorter prefix, or enable_l3 where the network has no ends of its own',
    );
  }
  const last = lastOf(subnet);
  const lowest = isL3 ? network : nextIp(network);
  // IPv4's last address is for broadcasts.
  const highest = isL3 || family === 6 ? last : previousIp(last);
  const first = ends?.[0] ?? bound(text.range_start, `${field}.range_start`, subnet);
  const final = ends?.[1] ?? bound(text.range_end, `${field}.range_end`, subnet);
  const start = first ? highestOf(first, lowest) : lowest;
  const end = final ? lowestOf(final, highest) : highest;
  if ((first || final) && compareIp(start, end) > 0) {
    const which = ends ? at : `${field}.${text.range_end === undefined ? 'range_start' : 'range_end'}`;
    throw fieldError(which, `the range ends before it begins: ${formatIp(start)} to ${formatIp(end)}`);
  }
  const gateway = share.gateway?.family === family ? share.gateway : undefined;
  const range: Range = {
    subnet,
    start,
    end,
    gateway: gateway ?? (isL3 ? previousIp(network) : network),
  };
  const own = isTop ? none : exclusions(text.exclude, `${field}.exclude`);
  const exclude: Exclusion[] = [];
  for (const list of [share.exclude, own]) {
    for (let i = 0; i < list.length; i++) if (list[i]!.cidr.ip.family === family) exclude.push(list[i]!);
  }
  return { field, set: [range], gateway, exclude, blockLength: blockLengthOf(share.sliceSize, subnet) };
}

const none: readonly Exclusion[] = [];

/** `10.0.0.0/24`, `10.0.0.7/24` (the same), `10.0.0.5-10.0.0.9/24`. */
function subnetOf({ range = '' }: RangeText, field: string): { subnet: Cidr; ends?: [Ip, Ip] } {
  const dash = range.indexOf('-');
  const cidr = parseCidr(dash < 0 ? range : range.slice(dash + 1).trim());
  if (cidr === undefined) {
    const hint = parseIp(range.slice(dash + 1)) ? ': its prefix length is missing' : '';
    throw fieldError(
      field,
      `${JSON.stringify(range)} is no range such as "10.22.0.0/16" or "10.22.0.5-10.22.0.90/16"${hint}`,
    );
  }
  const subnet = networkOf(cidr);
  if (dash < 0) return { subnet };
  const first = parseIp(range.slice(0, dash).trim());
  if (first === undefined) {
    throw fieldError(field, `${JSON.stringify(range.slice(0, dash))} is no address, where the range begins`);
  }
  if (!contains(subnet, first)) {
    throw fieldError(field, `${formatIp(first)}, where the range begins, is not in ${formatCidr(subnet)}`);
  }
  return { subnet, ends: [first, cidr.ip] };
}

/** range_start or range_end. */
function bound(text: string | undefined, field: string, subnet: Cidr): Ip | undefined {
  if (text === undefined || text === '') return undefined;
  const ip = parseIp(text);
  if (ip === undefined) throw fieldError(field, `${JSON.stringify(text)} is no address`);
  if (!contains(subnet, ip)) throw fieldError(field, `${text} is not in ${formatCidr(subnet)}`);
  return ip;
}

function highestOf(a: Ip, b: Ip): Ip {
  return compareIp(a, b) < 0 ? b : a;
}

function lowestOf(a: Ip, b: Ip): Ip {
  return compareIp(a, b) > 0 ? b : a;
}

/** CIDRs with or without host bits, and single addresses. */
export function exclusions(list: readonly string[] | undefined, field: string): readonly Exclusion[] {
  if (list === undefined) return none;
  return list.map((text, i) => {
    const ip = parseIp(text);
    const cidr = ip ? hostCidr(ip) : parseCidr(text);
    if (cidr) return { field: `${field}[${i}]`, cidr: networkOf(cidr) };
    throw fieldError(
      `${field}[${i}]`,
      `${JSON.stringify(text)} is neither a range of addresses such as "10.22.0.64/28" nor an address`,
    );
  });
}

/**
 * whereabouts' node_slice_size, `/26` or `26`, as the length of a block of this subnet. One size for both families: where
 * it is not long enough to be IPv6's, an IPv6 block has as many addresses as IPv4's.
 */
function blockLengthOf(size: string, { ip, prefix }: Cidr): number | undefined {
  if (size === '') return undefined;
  const field = 'ipam.node_slice_size';
  const written = Number(size.startsWith('/') ? size.slice(1) : size);
  if (!Number.isInteger(written) || written < 1 || written > 128) {
    throw fieldError(field, `${JSON.stringify(size)} is no prefix length such as "/26"`);
  }
  const between = 128 - 32;
  let length = written;
  if (ip.family === 4 && written > 32) length = written - between;
  if (ip.family === 6 && written <= 32 && written < prefix) length = written + between;
  if (length < prefix) {
    throw fieldError(
      field,
      `${size} is larger than the range ${formatCidr({ ip, prefix })}`,
      `a node gets a part of the range: at least /${prefix}, and longer where more nodes than one are to have addresses`,
    );
  }
  return length;
}

/** What of the range lies in blocks that may be taken from, without what is excluded; in the order of the blocks. Nothing
 *  of it is gone through address by address. */
export function segmentsOf({ set, exclude }: PoolRange, blocks: readonly Block[]): Range[] {
  const { subnet, start, end, gateway } = set[0]!; // a range of its own in each
  const found: Range[] = [];
  for (let i = 0; i < blocks.length; i++) {
    const { first } = blocks[i]!;
    if (first.family !== start.family) continue;
    const last = lastOfBlock(blocks[i]!);
    // Most lie in it whole: two comparisons tell.
    const isWithinStart = compareIp(start, first) <= 0;
    const isWithinEnd = compareIp(last, end) <= 0;
    if (!isWithinEnd && compareIp(first, end) > 0) continue;
    if (!isWithinStart && compareIp(last, start) < 0) continue;
    found.push({ subnet, start: isWithinStart ? first : start, end: isWithinEnd ? last : end, gateway });
  }
  let left = found;
  for (let i = 0; i < exclude.length; i++) left = without(left, exclude[i]!.cidr);
  return left;
}

/** All of the range that may be given at all. */
export function allOf({ set, exclude }: PoolRange): Range[] {
  let left: Range[] = [...set];
  for (const { cidr } of exclude) left = without(left, cidr);
  return left;
}

function without(ranges: readonly Range[], cidr: Cidr): Range[] {
  const [first, last] = [networkOf(cidr).ip, lastOf(cidr)];
  const left: Range[] = [];
  for (const range of ranges) {
    if (compareIp(range.end, first) < 0 || compareIp(last, range.start) < 0) {
      left.push(range);
      continue;
    }
    if (compareIp(range.start, first) < 0) left.push({ ...range, end: previousIp(first) });
    if (compareIp(last, range.end) < 0) left.push({ ...range, start: nextIp(last) });
  }
  return left;
}

/** How many addresses there are after this one to the end of the list; about, where there are very many. */
export function leftAfter(segments: readonly Range[], ip: Ip): number {
  let left = 0;
  let isAfter = false;
  for (const { start, end } of segments) {
    if (isAfter) left += between(start, end) + 1;
    else if (compareIp(start, ip) <= 0 && compareIp(ip, end) <= 0) {
      left = between(ip, end);
      isAfter = true;
    }
  }
  return left;
}

/** How far one lies above the other; about, where that is very far. */
export function between(low: Ip, high: Ip): number {
  let number = 0;
  for (let i = 0; i < low.bytes.length; i++) number = number * 256 + high.bytes[i]! - low.bytes[i]!;
  return number;
}
