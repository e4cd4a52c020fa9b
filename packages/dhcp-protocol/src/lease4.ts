/** A DHCPv4 lease, as it is kept and stored. Plain JSON. */
import { noAddress4 } from './address-bytes.ts';
import { fromHex, toHex } from './hex.ts';
import type { Message4 } from './message4.ts';
import { codeOf4, type OptionName4, type OptionValues4, readOption4 } from './options4.ts';

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

/** Seconds; what the reference takes where the ACK has no lease time. */
const defaultLeaseTime = 3600;
export const forever = 0xffffffff;

/** Of the exchange, not of the network: a renewal that differs in these alone is not worth telling. */
const passing: readonly number[] = [
  codeOf4('leaseTime'),
  codeOf4('messageType'),
  codeOf4('serverId'),
  codeOf4('message'),
  codeOf4('maxMessageSize'),
  codeOf4('renewalTime'),
  codeOf4('rebindingTime'),
  codeOf4('clientId'),
  82, // relay agent information
  90, // authentication
];

/** What an ACK gives to who asked at `since`. `serverId` is used where the ACK does not tell. Undefined for an ACK
 *  without an address, and for a lease of no time. */
export function leaseOf4(ack: Message4, since: number, serverId: string | undefined): Lease4 | undefined {
  const times = leaseTimes(ack.options);
  if (ack.yiaddr === noAddress4 || times === undefined) return undefined;
  const options: Record<string, string> = {};
  for (const [code, payload] of ack.options) options[code] = toHex(payload);
  const server = readOption4(ack.options, 'serverId') ?? serverId;
  return {
    address: ack.yiaddr,
    ...(server !== undefined && { serverId: server }),
    ...(times.expires !== forever && {
      renewAt: since + times.renew * 1000,
      rebindAt: since + times.rebind * 1000,
      expiresAt: since + times.expires * 1000,
    }),
    since,
    options,
  };
}

/** Seconds. T1 and T2 are half and seven eighths of the lease (RFC 2131, section 4.4.5) where the server does not say
 *  so, or says what contradicts itself. */
function leaseTimes(
  options: Message4['options'],
): { renew: number; rebind: number; expires: number } | undefined {
  const expires = readOption4(options, 'leaseTime') ?? defaultLeaseTime;
  if (expires === 0) return undefined;
  const given1 = readOption4(options, 'renewalTime') ?? 0;
  const given2 = readOption4(options, 'rebindingTime') ?? 0;
  const has1 = given1 > 0 && given1 < expires;
  const has2 = given2 > 0 && given2 <= expires;
  const half = expires * 0.5;
  const most = expires * 0.875;
  if (has1 && has2 && given1 <= given2) return { renew: given1, rebind: given2, expires };
  if (has1 && !has2) return { renew: given1, rebind: Math.max(most, given1), expires };
  if (has2 && !has1) return { renew: Math.min(half, given2), rebind: given2, expires };
  return { renew: half, rebind: most, expires };
}

/** An option of the ACK; undefined where it is missing or malformed. */
export function leaseOption4<N extends OptionName4>(lease: Lease4, name: N): OptionValues4[N] | undefined {
  const code = codeOf4(name);
  const payload = fromHex(lease.options[code] ?? '-');
  return payload === undefined ? undefined : readOption4(new Map([[code, payload]]), name);
}

/** Whether the address, with its mask, is the same. */
export function sameAddress4(a: Lease4, b: Lease4): boolean {
  const mask = codeOf4('subnetMask');
  return a.address === b.address && a.options[mask] === b.options[mask];
}

/** Whether all that is not of the exchange alone is the same. */
export function sameOptions4(a: Lease4, b: Lease4): boolean {
  const codes = new Set([...Object.keys(a.options), ...Object.keys(b.options)]);
  for (const code of codes) {
    if (a.options[code] !== b.options[code] && !passing.includes(Number(code))) return false;
  }
  return true;
}
