/** The ranges that a configuration of cluster-pool gives addresses from, in whereabouts' words. */
import { type Cidr, lastOf, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { compareIp, equalIp, type Ip, nextIp, parseIp, previousIp } from '@cni-ts/address/ip';
import { memberOf, objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import type { Json } from '../validate/document.ts';

/** Addresses from start to end, both included, all of one subnet, but for those that are excluded. */
export interface PoolRange {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  readonly exclude: readonly Cidr[];
  readonly gateway?: Ip;
  /** Where in `ipam` it stands. */
  readonly path: readonly (string | number)[];
}

/** Each range that can be read; what cannot be the plugin itself tells. */
export function poolRanges(ipam: Json | undefined): PoolRange[] {
  if (!ipam) return [];
  const listed = memberOf(ipam, 'ipRanges');
  const more = Array.isArray(listed)
    ? listed.flatMap((one: unknown, i) => {
        const range = objectMember({ one }, 'one');
        return range ? rangeOf(range, ['ipRanges', i]) : [];
      })
    : [];
  return [...rangeOf(ipam, []), ...more];
}

/** `10.0.0.0/16`, also with host bits, or `10.0.0.5-10.0.0.9/16`. */
function rangeOf(json: Json, path: PoolRange['path']): PoolRange[] {
  const text = textMember(json, 'range');
  const dash = text.indexOf('-');
  const cidr = parseCidr(dash < 0 ? text : text.slice(dash + 1));
  if (!cidr) return [];
  const subnet = networkOf(cidr);
  const isLone = equalIp(subnet.ip, lastOf(subnet));
  const first = isLone ? subnet.ip : nextIp(subnet.ip);
  const last = isLone ? subnet.ip : previousIp(lastOf(subnet));
  const start = parseIp(textMember(json, 'range_start')) ?? (dash < 0 ? first : parseIp(text.slice(0, dash)));
  const end = parseIp(textMember(json, 'range_end')) ?? (dash < 0 ? last : cidr.ip);
  if (!start || compareIp(start, end) > 0) return [];
  const gateway = parseIp(textMember(json, 'gateway'));
  const excluded = memberOf(json, 'exclude');
  return [
    {
      subnet,
      start,
      end,
      exclude: Array.isArray(excluded)
        ? excluded.flatMap((one: unknown) => {
            const cut = typeof one === 'string' ? excludedBy(one) : undefined;
            return cut ?? [];
          })
        : [],
      ...(gateway && { gateway }),
      path,
    },
  ];
}

function excludedBy(text: string): Cidr | undefined {
  const ip = parseIp(text);
  return ip ? { ip, prefix: ip.family === 4 ? 32 : 128 } : parseCidr(text);
}

/** How many addresses from `first` to `last` a network can give. */
export function roomBetween(first: Ip, last: Ip, ranges: readonly PoolRange[]): bigint {
  let room = 0n;
  for (const { start, end, exclude, gateway } of ranges) {
    if (start.family !== first.family) continue;
    const from = max(numberOf(first), numberOf(start));
    const to = min(numberOf(last), numberOf(end));
    if (from > to) continue;
    const cuts = [...exclude, ...(gateway ? [{ ip: gateway, prefix: gateway.bytes.length * 8 }] : [])]
      .filter(({ ip }) => ip.family === first.family)
      .map((one) => [numberOf(networkOf(one).ip), numberOf(lastOf(one))] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    room += to - from + 1n;
    // Exclusions may lie in each other.
    let done = from;
    for (const [begin, stop] of cuts) {
      const [a, b] = [max(begin, done), min(stop, to)];
      if (a > b) continue;
      room -= b - a + 1n;
      done = b + 1n;
    }
  }
  return room;
}

export function numberOf({ bytes }: Ip): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
