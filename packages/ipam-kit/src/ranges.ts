/** Range sets: the addresses a network may hand out, checked once and then walked round and round.
 *  One address of each set goes to every attachment. */
import { type Cidr, contains, formatCidr, lastOf, networkOf } from '@cni-ts/address/cidr';
import { compareIp, equalIp, formatIp, type Ip, nextIp, numberOf, previousIp } from '@cni-ts/address/ip';
import { compareVersions } from '@cni-ts/spec/spec-version';

/** A range as configured. `mapped` tells a subnet written as IPv4-mapped IPv6, which cannot be allocated from. */
export interface RangeText {
  readonly subnet?: Cidr | undefined;
  readonly mapped?: boolean;
  readonly rangeStart?: Ip | undefined;
  readonly rangeEnd?: Ip | undefined;
  readonly gateway?: Ip | undefined;
}

/** Addresses from start to end, both included, all of one subnet; the gateway is never handed out. */
export interface Range {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  /** Need not lie in the subnet, nor even be of its family: the reference accepts that. */
  readonly gateway: Ip;
}

export type RangeSet = readonly Range[];

/** What one address of a set comes with. */
export interface Candidate {
  readonly ip: Ip;
  readonly range: Range;
}

/** Checks and completes the configured sets. Throws plain sentences (answered as code 999): callers of the
 *  reference plugin match these texts. `version` is the configuration's, as written. */
export function rangeSets(configured: readonly (readonly RangeText[])[], version: string): RangeSet[] {
  if (configured.length === 0) throw new Error('no IP ranges specified');
  const sets = configured.map((texts, index) => {
    try {
      return rangeSet(texts);
    } catch (thrown) {
      // Everything thrown below is a plain sentence of this file.
      throw new Error(`invalid range set ${index}: ${(thrown as Error).message}`);
    }
  });
  const perFamily = [4, 6].map((family) => sets.filter((set) => set[0]!.subnet.ip.family === family).length);
  if (Math.max(...perFamily) > 1 && compareVersions(version, '0.3.0') < 0) {
    throw new Error(`CNI version ${version} does not support more than 1 address per family`);
  }
  for (const [i, one] of sets.entries()) {
    for (let j = i + 1; j < sets.length; j++) {
      const meets = one.some((range) => sets[j]!.some((other) => overlap(range, other)));
      if (meets) throw new Error(`range set ${i} overlaps with ${j}`);
    }
  }
  return sets;
}

/** `10.0.0.1-10.0.0.6,10.0.1.1-10.0.1.6` */
export function describe(set: RangeSet): string {
  return set.map(describeRange).join(',');
}

/** The range of the set the address lies in. */
export function rangeOf(set: RangeSet, ip: Ip): Range | undefined {
  return set.find((range) => compareIp(range.start, ip) <= 0 && compareIp(ip, range.end) <= 0);
}

/** How many addresses the set can hand out: all but the gateways of their ranges. */
export function sizeOf(set: RangeSet): bigint {
  let size = 0n;
  for (const range of set) {
    size += numberOf(range.end) - numberOf(range.start) + 1n;
    if (rangeOf([range], range.gateway)) size -= 1n;
  }
  return size;
}

/**
 * The first address of the set that `accept` takes. All are tried once: upwards from the one after `last`, range after
 * range, round to `last` itself. So a released address comes back only after a full turn. A `last` outside the set
 * counts as none: the walk then begins with the first range.
 *
 * (No generator, which is slow to start in a process that walks one step.)
 */
export function walk(
  set: RangeSet,
  last: Ip | undefined,
  accept: (candidate: Candidate) => boolean,
): Candidate | undefined {
  const from = last === undefined ? undefined : rangeOf(set, last);
  const first = from === undefined ? 0 : set.indexOf(from);
  let found: Candidate | undefined;
  if (from && last && !equalIp(last, from.end)) found = span(from, nextIp(last), from.end, accept);
  for (let i = from === undefined ? 0 : 1; i < set.length && !found; i++) {
    const range = set[(first + i) % set.length]!;
    found = span(range, range.start, range.end, accept);
  }
  return from && last && !found ? span(from, from.start, last, accept) : found;
}

function span(
  range: Range,
  first: Ip,
  last: Ip,
  accept: (candidate: Candidate) => boolean,
): Candidate | undefined {
  for (let ip = first; ; ip = nextIp(ip)) {
    const candidate = { ip, range };
    if (!equalIp(ip, range.gateway) && accept(candidate)) return candidate;
    // Compared before stepping: the last address of a family has no successor.
    if (equalIp(ip, last)) return undefined;
  }
}

function rangeSet(texts: readonly RangeText[]): RangeSet {
  if (texts.length === 0) throw new Error('empty range set');
  const set = texts.map(completed);
  if (set.some((range) => range.subnet.ip.family !== set[0]!.subnet.ip.family)) {
    throw new Error('mixed address families');
  }
  for (const [i, range] of set.entries()) {
    const other = set.slice(i + 1).find((later) => overlap(range, later));
    if (other) throw new Error(`subnets ${describeRange(range)} and ${describeRange(other)} overlap`);
  }
  return set;
}

function completed({ subnet, mapped, rangeStart, rangeEnd, gateway }: RangeText): Range {
  if (subnet === undefined) throw new Error('IP <nil> not v4 nor v6');
  const text = formatCidr(subnet);
  const bits = subnet.ip.family === 4 ? 32 : 128;
  if (bits - subnet.prefix < 2) throw new Error(`Network ${text} too small to allocate from`);
  if (mapped) throw new Error('IPNet IP and Mask version mismatch');
  const network = networkOf(subnet).ip;
  if (!equalIp(network, subnet.ip)) {
    throw new Error(
      `Network has host bits set. For a subnet mask of length ${subnet.prefix} the network address is ${formatIp(network)}`,
    );
  }
  const first = nextIp(network);
  // IPv4's last address is the broadcast address; IPv6 has none, so its last address is like any other.
  const last = subnet.ip.family === 4 ? previousIp(lastOf(subnet)) : lastOf(subnet);
  const start = rangeStart ?? first;
  const end = rangeEnd ?? last;
  const ordered = compareIp(start, end) <= 0;
  if (!contains(subnet, start) || (rangeStart && rangeEnd && !ordered)) {
    throw new Error(`RangeStart ${formatIp(start)} not in network ${text}`);
  }
  if (!contains(subnet, end) || (rangeEnd && !ordered)) {
    throw new Error(`RangeEnd ${formatIp(end)} not in network ${text}`);
  }
  if (!ordered) {
    // The reference lets this pass and walks out of the subnet.
    throw new Error(
      `RangeStart ${formatIp(start)} is above ${formatIp(end)}, the last address handed out of ${text} when rangeEnd is not given`,
    );
  }
  return { subnet, start, end, gateway: gateway ?? first };
}

function overlap(a: Range, b: Range): boolean {
  return compareIp(a.start, b.end) <= 0 && compareIp(b.start, a.end) <= 0;
}

function describeRange(range: Range): string {
  return `${formatIp(range.start)}-${formatIp(range.end)}`;
}
