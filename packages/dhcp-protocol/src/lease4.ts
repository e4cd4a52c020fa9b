/** A DHCPv4 lease, as it is kept and stored. Plain JSON. */

/** Times are milliseconds of boottime (clock.ts). They are counted from when the REQUEST was sent, as RFC 2131 wants. */
export interface Lease4 {
  readonly address: string;
  readonly serverId?: string;
  /** When to renew, to rebind and to stop using it; all three missing: it is for ever. */
  readonly renewAt?: number;
  readonly rebindAt?: number;
  readonly expiresAt?: number;
  /** When it was asked for. */
  readonly since: number;
  /** What the ACK brought, payloads in hex by code. */
  readonly options: Readonly<Record<string, string>>;
}
