/** Addresses as they stand in a configuration. The sentences are the reference's, which callers match; the details name
 *  the field. */
import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';

/** `field` is its path in the configuration. Throws `invalid CIDR address: …`. */
export function cidrField(text: string, field: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new CniError(ErrorCode.internal, `invalid CIDR address: ${text}`, field);
  return cidr;
}

/** undefined for '', which counts as absent. Throws `invalid IP address: …`. */
export function ipField(text = '', field: string): Ip | undefined {
  const ip = parseIp(text);
  if (ip || text === '') return ip;
  throw new CniError(ErrorCode.internal, `invalid IP address: ${text}`, field);
}
