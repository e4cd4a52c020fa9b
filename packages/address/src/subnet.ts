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
    first: address(subnet.start<string>(), c),
    last: address(subnet.end<string>(), c),
    // The library's types say BigInt, the wrapper object, where it returns the primitive.
    size: BigInt(subnet.size.toString()),
  };
}

/** At most `limit` addresses of the subnet in order, from the one numbered `from` (0 is the network address). */
export function addressesOf(c: Cidr, limit: number, from = 0n): Ip[] {
  if (limit <= 0) return []; // the library takes 0 for "no limit"
  const texts = new IPCIDR(formatCidr(c)).toArray({ from, limit: BigInt(limit) });
  return texts.map((text) => address(text, c));
}

/** Of the subnet's family: a text of ::ffff:0:0/96 is read as the IPv4 address it stands for. */
function address(text: string, { ip: { family } }: Cidr): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`ip-cidr returned ${JSON.stringify(text)}, which is no IP address`);
  if (ip.family === family) return ip;
  return { family, bytes: Uint8Array.from([...new Array(10).fill(0), 255, 255, ...ip.bytes]) };
}
