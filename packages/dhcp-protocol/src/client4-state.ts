/** What the DHCPv4 client is given, keeps, and says. All of it but messages is plain JSON. */
import type { ClientEvent, ClientOutcome, ClientStep } from './client-step.ts';
import type { Now } from './clock.ts';
import type { Lease4 } from './lease4.ts';
import type { Message4 } from './message4.ts';

/** What follows from configuration and link; it is part of the state, so that a stored lease goes on by itself. */
export interface Client4Config {
  /** Hardware address, `02:00:00:00:00:01`. */
  readonly mac: string;
  /** Option 61 in hex, with its type byte; undefined sends none. */
  readonly clientId?: string;
  /** Option 55. */
  readonly request: readonly number[];
  /** Payloads in hex by code. They replace what the client itself would send. */
  readonly provide: Readonly<Record<string, string>>;
  /** Asks servers to answer by broadcast, for links that take no unicast before they have an address (ipvlan). */
  readonly broadcast: boolean;
  /** Milliseconds: the daemon's flags `timeout`, `resendmax`, `resendtimeout`. A first wait is not above `timeout` nor
   *  4 s, a later one not above `resendMax` nor 16 s while acquiring; `resendTimeout` is all that acquiring may take. */
  readonly timeout: number;
  readonly resendMax: number;
  readonly resendTimeout: number;
}

export type Phase4 =
  /** Nothing done yet, or ended: failed, released. */
  | 'stopped'
  /** Waits before it begins anew: after a NAK or DECLINE. */
  | 'pausing'
  /** DISCOVER sent. */
  | 'selecting'
  /** REQUEST for an offer sent. */
  | 'requesting'
  /** REQUEST for an address known from before sent (INIT-REBOOT), with or without a lease in use meanwhile. */
  | 'rebooting'
  | 'bound'
  | 'renewing'
  | 'rebinding';

/** Times are milliseconds of boottime (clock.ts). */
export interface Client4State {
  readonly version: 1;
  readonly config: Client4Config;
  readonly phase: Phase4;
  /** The lease in use. */
  readonly lease?: Lease4;
  /** The address that was in use last, or is wished for. */
  readonly wanted?: string;
  /** Of the exchange going on, or of the last one. */
  readonly xid: number;
  /** Seconds from when acquiring began to the last DISCOVER; the REQUEST repeats them (RFC 2131, section 4.4.1). */
  readonly secs: number;
  /** How often the message of this exchange was sent. */
  readonly sends: number;
  /** When the first message was sent that an answer coming now may be to: what a lease is counted from. */
  readonly since: number;
  /** When the last message was sent. */
  readonly sentAt: number;
  /** When acquiring began, and when it is over. */
  readonly began: number;
  readonly deadline?: number;
  /** When something is due by itself. */
  readonly due?: number;
  /** The offer that is asked for. */
  readonly offer?: {
    readonly address: string;
    readonly serverId?: string;
    readonly ciaddr: string;
    readonly flags: number;
  };
  /** A server that is not ours said no to a broadcast; counts if none says yes. */
  readonly foreignNak?: string;
  /** Attempts that failed since acquiring began, and why the last one did. */
  readonly failures: number;
  readonly declines: number;
  readonly why?: string;
  readonly linkUp: boolean;
  /** The clocks at the last step. */
  readonly stamp: Now;
}

export type Event4 = ClientEvent<Message4>;
export type Outcome4 = ClientOutcome<Lease4>;
export type Step4 = ClientStep<Client4State, Outgoing4, Outcome4>;

export interface Outgoing4 {
  readonly kind: 'discover' | 'request' | 'renew' | 'rebind' | 'reboot' | 'release' | 'decline';
  /** `0.0.0.0`, or the leased address. */
  readonly source: string;
  /** `255.255.255.255`, or the server's. */
  readonly destination: string;
  readonly message: Message4;
}
