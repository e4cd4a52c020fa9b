/** A DHCPv6 lease, as it is kept and stored. Plain JSON. */
import { toHex } from './hex.ts';
import type { IaAddress, IaNa, Options6 } from './options6.ts';

/** Times are milliseconds of boottime (clock.ts), counted from when the message was sent that was answered. */
export interface Lease6 {
  readonly address: string;
  /** The server's DUID in hex. */
  readonly serverId: string;
  readonly renewAt?: number;
  readonly rebindAt?: number;
  /** Not to be used for new connections from then on. */
  readonly preferredUntil?: number;
  /** Missing: for ever. */
  readonly expiresAt?: number;
  readonly since: number;
  /** Besides the address, from the same reply. */
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly ntp: readonly string[];
}

const forever = 0xffffffff;

/** What a reply's options give besides an address. */
export function informationOf6(options: Options6): { dns: string[]; search: string[]; ntp: string[] } {
  return {
    dns: options.dnsServers ?? [],
    search: options.domainSearch ?? [],
    ntp: options.ntpServers ?? options.sntpServers ?? [],
  };
}

/** The identity association of a message; undefined where it is not there or contradicts itself (RFC 8415, section
 *  21.4: T1 after T2). */
export function iaOf6(options: Options6, iaid: number): IaNa | undefined {
  const found = options.ia?.find((ia) => ia.iaid === iaid);
  return found !== undefined && found.t1 > found.t2 && found.t2 !== 0 ? undefined : found;
}

/** An address that may be used, `wished` if it is among them. Section 21.6: one whose preferred lifetime is longer than
 *  the valid one is not looked at. */
export function usableAddress6(ia: IaNa, wished: string | undefined): IaAddress | undefined {
  let first: IaAddress | undefined;
  for (const one of ia.addresses) {
    if (one.valid === 0 || one.preferred > one.valid || (one.status?.code ?? 0) !== 0) continue;
    if (one.address === wished) return one;
    first ??= one;
  }
  return first;
}

export function leaseOf6(ia: IaNa, address: IaAddress, since: number, options: Options6): Lease6 {
  const { preferred, valid } = address;
  const at = (seconds: number) => since + seconds * 1000;
  const times = renewalTimes(ia, address);
  return {
    address: address.address,
    serverId: toHex(options.serverId ?? new Uint8Array(0)),
    ...(times.renew !== forever && { renewAt: at(times.renew) }),
    ...(times.rebind !== forever && { rebindAt: at(times.rebind) }),
    ...(preferred !== forever && { preferredUntil: at(preferred) }),
    ...(valid !== forever && { expiresAt: at(valid) }),
    since,
    ...informationOf6(options),
  };
}

/** Seconds. Where the server leaves it to us, half and eight tenths of the preferred lifetime, as section 21.4 has it for
 *  servers; a time that the address does not live to see is not taken. */
function renewalTimes({ t1, t2 }: IaNa, { preferred, valid }: IaAddress): { renew: number; rebind: number } {
  const life = preferred === 0 ? valid : preferred;
  const part = (share: number) => (life === forever ? Math.min(valid, forever) : life * share);
  let rebind = t2 === 0 ? part(0.8) : t2;
  if (valid !== forever && rebind >= valid) rebind = valid * 0.8;
  let renew = t1 === 0 ? part(0.5) : t1;
  if (rebind !== forever && renew > rebind) renew = Math.min(rebind, valid * 0.5);
  return { renew, rebind };
}

export function sameOptions6(a: Lease6, b: Lease6): boolean {
  return sameList(a.dns, b.dns) && sameList(a.search, b.search) && sameList(a.ntp, b.ntp);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
