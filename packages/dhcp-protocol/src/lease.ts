/** What a lease gives to a CNI result. */
import type { Dns, IpConfig, Route } from '@cni-ts/spec/result';
import type { Lease4 } from './lease4.ts';
import type { Lease6 } from './lease6.ts';

/** The parts of a result; only what the lease has. */
export interface LeaseResult {
  readonly ip: IpConfig;
  /** On-link ones first, so that a default route through one of them can be installed. */
  readonly routes: Route[];
  /** Nameservers, domain, search: whatever of it the server sent; undefined if nothing. */
  readonly dns?: Dns;
  /** Bytes, 68 or more. */
  readonly mtu?: number;
  readonly ntp?: string[];
}

export interface Result4Options {
  /** Set on every route when it is not 0. */
  readonly priority?: number;
  /** Without a mask in the ACK: the address's class by default `false`, which refuses as the reference does. */
  readonly classMask?: boolean;
}

/** Throws Error `DHCP option Subnet Mask not found in DHCPACK`, the reference's words. */
export function leaseResult4(_lease: Lease4, _options?: Result4Options): LeaseResult {
  throw new Error('not written yet');
}

export interface Result6Options {
  readonly priority?: number;
  /** From router advertisements: DHCPv6 knows neither prefix length nor router. */
  readonly prefix?: number;
  readonly gateway?: string;
  readonly mtu?: number;
  readonly dns?: Dns;
}

/** The address is a /128 unless `prefix` says otherwise; a default route where there is a gateway. */
export function leaseResult6(_lease: Lease6, _options?: Result6Options): LeaseResult {
  throw new Error('not written yet');
}
