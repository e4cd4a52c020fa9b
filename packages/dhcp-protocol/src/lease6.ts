/** A DHCPv6 lease, as it is kept and stored. Plain JSON. */

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
