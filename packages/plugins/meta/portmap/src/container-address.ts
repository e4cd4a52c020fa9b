import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import type { Result } from '@cni-ts/spec/result';

/**
 * Where the mappings of this attachment lead: the first IPv4 and the first IPv6 address of prevResult that are not
 * said to belong to another interface or to one of the host. Prefixes are kept: they tell who the neighbours are.
 */
export function containerAddresses(result: Result, ifname: string): Cidr[] {
  const found = new Map<4 | 6, Cidr>();
  for (const [i, ip] of (result.ips ?? []).entries()) {
    const owner = result.interfaces?.[ip.interface ?? -1];
    if (owner && (owner.name !== ifname || !owner.sandbox)) continue;
    const cidr = parseCidr(ip.address);
    if (!cidr)
      throw new Error(`could not parse prevResult: ips[${i}].address: invalid CIDR address: ${ip.address}`);
    if (!found.has(cidr.ip.family)) found.set(cidr.ip.family, cidr);
  }
  return [...found.values()].sort((a, b) => a.ip.family - b.ip.family);
}
