/**
 * Facts about whole subnets, counted by the ip-cidr library. Loading it costs more than a plugin has to spare, so
 * this file is for the operator's tool and for tests; what a plugin needs is in cidr.ts, and tested against this.
 */
import IPCIDR from 'ip-cidr';
import { type Cidr, formatCidr } from './cidr.ts';
import { type Ip, parseIp } from './ip.ts';

export interface Subnet {
  readonly first: Ip;
  readonly last: Ip;
  /** How many addresses, network and broadcast included. */
  readonly size: bigint;
}

export function subnetOf(c: Cidr): Subnet {
  const subnet = new IPCIDR(formatCidr(c));
  return {
    first: address(subnet.start<string>()),
    last: address(subnet.end<string>()),
    // The library's types say BigInt, the wrapper object, where it returns the primitive.
    size: BigInt(subnet.size.toString()),
  };
}

/** At most `limit` addresses of the subnet in order, from the one numbered `from` (0 is the network address). */
export function addressesOf(c: Cidr, limit: number, from = 0n): Ip[] {
  if (limit <= 0) return []; // the library takes 0 for "no limit"
  const texts = new IPCIDR(formatCidr(c)).toArray({ from, limit: BigInt(limit) });
  return texts.map(address);
}

function address(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`ip-cidr returned ${JSON.stringify(text)}, which is no IP address`);
  return ip;
}
