/** What the DHCPv6 client is given, keeps, and says. All of it but messages is plain JSON. */
import type { Lease6 } from './lease6.ts';
import type { Message6 } from './message6.ts';

export interface Client6Config {
  /** DUID in hex. */
  readonly duid: string;
  readonly iaid: number;
  /** Option codes to ask for, beside SOL_MAX_RT, which is always. */
  readonly request: readonly number[];
  /** Other options to send, payloads in hex by code. */
  readonly provide?: Readonly<Record<string, string>>;
  readonly rapidCommit: boolean;
  /** Asks for options only (the router's O flag without M). */
  readonly informationOnly?: boolean;
  /** All that acquiring may take, milliseconds. */
  readonly resendTimeout: number;
}

export type Phase6 =
  | 'stopped'
  | 'soliciting'
  | 'requesting'
  /** After the link was away: is the address right for this link? */
  | 'confirming'
  | 'bound'
  | 'renewing'
  | 'rebinding'
  | 'informing'
  | 'releasing'
  | 'declining';

/** Times are milliseconds of boottime (clock.ts). */
export interface Client6State {
  readonly version: 1;
  readonly config: Client6Config;
  readonly phase: Phase6;
  readonly lease?: Lease6;
  /** The address that was in use last, as a hint. */
  readonly wanted?: string;
  readonly xid: number;
  readonly sends: number;
  readonly since: number;
  /** The wait before the next send, RT of RFC 8415, section 15. */
  readonly wait: number;
  readonly began: number;
  readonly deadline?: number;
  readonly due?: number;
  /** The best advertisement so far: the server's DUID in hex, its preference, the address it has. */
  readonly offer?: { readonly serverId: string; readonly preference: number; readonly address: string };
  /** Milliseconds, from SOL_MAX_RT. */
  readonly solMaxRt: number;
  readonly why?: string;
  readonly linkUp: boolean;
  readonly stamp: { readonly boottime: number; readonly wall: number; readonly boot: string };
}

export type Event6 =
  | { readonly type: 'start'; readonly address?: string; readonly linkUp?: boolean }
  | { readonly type: 'resumed'; readonly linkUp?: boolean }
  | { readonly type: 'message'; readonly message: Message6 }
  | { readonly type: 'timer' }
  | { readonly type: 'linkUp' }
  | { readonly type: 'linkDown' }
  | { readonly type: 'renew' }
  /** Duplicate address detection failed. */
  | { readonly type: 'decline' }
  | { readonly type: 'release' };

/** As Outcome4. `information` is what `informationOnly` ends in; `released` comes once the server has answered, or four
 *  messages after. */
export type Outcome6 =
  | { readonly type: 'bound'; readonly lease: Lease6 }
  | { readonly type: 'resumed'; readonly lease: Lease6 }
  | { readonly type: 'renewed'; readonly lease: Lease6 }
  | { readonly type: 'options'; readonly lease: Lease6; readonly previous: Lease6 }
  | { readonly type: 'changed'; readonly lease: Lease6; readonly previous: Lease6 }
  | { readonly type: 'expired'; readonly previous: Lease6 }
  | { readonly type: 'lost'; readonly reason: string; readonly previous: Lease6 }
  | { readonly type: 'failed'; readonly error: string; readonly reason: string }
  | {
      readonly type: 'information';
      readonly dns: string[];
      readonly search: string[];
      readonly ntp: string[];
    }
  | { readonly type: 'released'; readonly previous?: Lease6 };

/** Goes from the link-local address, port 546, to ff02::1:2, port 547. */
export interface Outgoing6 {
  readonly kind:
    | 'solicit'
    | 'request'
    | 'confirm'
    | 'renew'
    | 'rebind'
    | 'release'
    | 'decline'
    | 'information-request';
  readonly message: Message6;
}

export interface Step6 {
  readonly state: Client6State;
  readonly send: readonly Outgoing6[];
  readonly wakeAt?: number;
  readonly outcome?: Outcome6;
}
