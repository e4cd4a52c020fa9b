/** What the DHCPv6 client is given, keeps, and says. All of it but messages is plain JSON. */
import type { ClientEvent, ClientOutcome, ClientStep } from './client-step.ts';
import type { Now } from './clock.ts';
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
  readonly stamp: Now;
}

export type Event6 = ClientEvent<Message6>;

/** `information` is what `informationOnly` ends in; `released` comes once the server has answered, or four messages
 *  after. */
export type Outcome6 =
  | ClientOutcome<Lease6>
  | {
      readonly type: 'information';
      readonly dns: string[];
      readonly search: string[];
      readonly ntp: string[];
    };
export type Step6 = ClientStep<Client6State, Outgoing6, Outcome6>;

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
