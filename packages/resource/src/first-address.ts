import { type Cidr, networkOf } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';

/** Network address plus one: what is taken as gateway where IPAM names none. */
export function firstAddress(cidr: Cidr): Ip {
  const { bytes } = networkOf(cidr).ip;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = (bytes[i]! + 1) & 0xff;
    if (bytes[i] !== 0) break;
  }
  return { family: cidr.ip.family, bytes };
}
