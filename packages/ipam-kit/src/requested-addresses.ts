/** The addresses a caller asks for: CNI_ARGS `IP=`, `args.cni.ips` and the capability `ips`, added together. */
import { parseCidr } from '@cni-ts/address/cidr';
import { equalIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { parseCniArgs } from '@cni-ts/spec/cni-args';

/** In the order of the sources, each address once. A prefix length is accepted and ignored: the range knows it.
 *  Throws the reference's texts for what is no address or no CNI_ARGS. */
export function requestedAddresses(args: string, ...lists: readonly (readonly string[])[]): Ip[] {
  const known = parseCniArgs(args, { IP: (text) => (text === '' ? undefined : address(text)) });
  const all = known.IP === undefined ? [] : [known.IP];
  for (const text of lists.flat()) {
    if (text === '') throw new Error('cannot understand ip: IP <nil> not v4 nor v6');
    all.push(address(text));
  }
  return all.filter((ip, index) => all.findIndex((other) => equalIp(other, ip)) === index);
}

function address(text: string): Ip {
  const ip = parseIp(text) ?? parseCidr(text)?.ip;
  if (ip === undefined) throw new Error(`invalid IP address ${text}`);
  return ip;
}
