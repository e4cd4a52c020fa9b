import { type Cidr, parseCidr } from '@cni-ts/address/cidr';
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { memberOf } from '@cni-ts/skeleton/config-findings';
import type { Json } from './document.ts';
import { type Draft, error, type Path } from './finding.ts';

/** Addresses that a network gives, from its first to its last. */
export interface GivenRange {
  readonly subnet: Cidr;
  readonly start: Ip;
  readonly end: Ip;
  readonly path: Path;
  /** Addresses of a cluster: networks of one space share them. */
  readonly space?: string;
}

/** An address without a prefix length. */
export function addressField(json: Json, key: string, path: Path, found: Draft[]): Ip | undefined {
  const text = memberOf(json, key);
  if (typeof text !== 'string' || text === '') return undefined;
  const ip = parseIp(text);
  if (ip) return ip;
  const hint = parseCidr(text) ? ': no prefix length belongs here' : '';
  found.push(
    error('CNI2001', [...path, key], `${JSON.stringify(text)} is no address such as "10.22.0.1"${hint}`),
  );
  return undefined;
}
