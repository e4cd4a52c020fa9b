import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { addressDifferences } from '@cni-ts/resource/attached-link';
import type { Namespace } from '@cni-ts/resource/namespace';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { findLink, IFF_UP, type Link } from '@cni-ts/rtnetlink/link';
import { listRoutes, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import type { Result } from '@cni-ts/spec/result';

/** What an attachment is known by, and what of it can be looked up. */
export interface Expected {
  readonly ifname: string;
  readonly netns: string;
  readonly hostName: string;
  readonly mtu: number | undefined;
  readonly wires: readonly { readonly cidr: Cidr; readonly gateway: Ip | undefined }[];
}

/** What differs from what ADD left, in words, the most basic first: an absent link hides what hangs on it. */
export function differences(
  expected: Expected,
  prevResult: Result,
  host: Namespace,
  inside: Namespace,
): string[] {
  const { ifname, netns } = expected;
  const entry = prevResult.interfaces?.findLast(({ name, sandbox }) => name === ifname && sandbox === netns);
  if (!entry) return [`Sandbox in prevResult  doesn't match configured netns: ${netns}`];
  const link = findLink(inside.route, ifname);
  if (!link) return [`ptp: Container Interface name in prevResult: ${ifname} not found`];
  if (link.kind !== 'veth') return [`Error: Container interface ${ifname} not of type veth/p2p`];
  const recorded = entry.mac ? parseMac(entry.mac) : link.mac;
  if (!recorded || formatMac(recorded) !== formatMac(link.mac)) {
    return [`ptp: Interface ${ifname} Mac ${entry.mac} doesn't match container Mac: ${formatMac(link.mac)}`];
  }
  if (!(link.flags & IFF_UP)) return [`ptp: Container interface ${ifname} is down`];
  return [...addressDifferences(inside, link, prevResult), ...hostDifferences(expected, host, link)];
}

/** The host's end: it must be there by its recorded name, and be the other end indeed. */
function hostDifferences(expected: Expected, host: Namespace, inside: Link): string[] {
  const { hostName, mtu, wires } = expected;
  const link = findLink(host.route, hostName);
  if (!link) return [`ptp: Host interface ${hostName} not found`];
  if (link.kind !== 'veth' || link.lower !== inside.index || inside.lower !== link.index) {
    return [`ptp: Host interface ${hostName} is not the other end of ${inside.name}`];
  }
  const drift: string[] = [];
  if (!(link.flags & IFF_UP)) drift.push(`ptp: Host interface ${hostName} is down`);
  if (mtu !== undefined && link.mtu !== mtu) {
    drift.push(`ptp: Host interface ${hostName} has MTU ${link.mtu}, configured is ${mtu}`);
  }
  const present = listAddresses(host.route, link);
  for (const { gateway } of wires) {
    if (gateway && !present.some(({ cidr }) => equalIp(cidr.ip, gateway))) {
      drift.push(`ptp: Gateway address ${formatIp(gateway)} is missing on host interface ${hostName}`);
    }
  }
  for (const family of [4, 6] as const) {
    const own = wires.filter(({ cidr }) => cidr.ip.family === family);
    if (own.length) drift.push(...routeDifferences(host, link, own));
  }
  return drift;
}

function routeDifferences(host: Namespace, link: Link, wires: readonly { readonly cidr: Cidr }[]): string[] {
  const family = wires[0]!.cidr.ip.family;
  const routes = listRoutes(host.route, family).filter(
    ({ table, hops }) => table === RT_TABLE_MAIN && hops.some(({ index }) => index === link.index),
  );
  return wires
    .map(({ cidr: { ip } }) => ({ ip, prefix: ip.bytes.length * 8 }))
    .filter(
      (dst) => !routes.some((route) => route.dst.prefix === dst.prefix && equalIp(route.dst.ip, dst.ip)),
    )
    .map((dst) => `ptp: Host route to ${formatCidr(dst)} through ${link.name} not found`);
}
