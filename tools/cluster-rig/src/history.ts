/** What happened in a run, as the recorder writes it down: all times are seconds of one monotonic clock. */

/** An attachment is one node's, of one network; ids are never used twice. */
interface OfAttachment {
  readonly node: string;
  readonly network: string;
  readonly id: string;
}

export interface AddEvent extends OfAttachment {
  readonly kind: 'add';
  readonly asked: number;
  /** Absent where the plugin was killed, or something went wrong: `error`. */
  readonly answered?: number;
  /** Without prefix lengths. */
  readonly addresses?: readonly string[];
  /** Whether all reservations' files were there when the answer was. */
  readonly onDisk?: boolean;
  readonly error?: string;
}

export interface DelEvent extends OfAttachment {
  readonly kind: 'del';
  readonly asked: number;
  /** Absent where the plugin was killed. */
  readonly answered?: number;
  readonly error?: string;
}

export interface CheckEvent extends OfAttachment {
  readonly kind: 'check';
  readonly asked: number;
  readonly answered?: number;
  readonly error?: string;
}

export interface GcEvent {
  readonly kind: 'gc';
  readonly node: string;
  readonly network: string;
  readonly asked: number;
  readonly answered?: number;
  /** The live set: whatever else was there is gone from when it was asked. */
  readonly valid: readonly string[];
  readonly error?: string;
}

/** The node lost its power: its containers are gone. */
export interface OffEvent {
  readonly kind: 'off';
  readonly node: string;
  readonly at: number;
}

/** A node's folder of reservations, at a moment when nothing was asked of it. */
export interface Store {
  readonly node: string;
  readonly network: string;
  readonly reservations: readonly { readonly address: string; readonly id: string }[];
  /** The attachments that live as their runtime knows them; only right after a GC with just these. */
  readonly live?: readonly string[];
}

/** All keys of etcd at one revision, and folders of nodes at that time. */
export interface LookEvent {
  readonly kind: 'look';
  readonly at: number;
  readonly keys: readonly LedgerKey[];
  readonly stores: readonly Store[];
  /** Seconds since the last call of any plugin and the last fault; 0 where it is not quiet. */
  readonly quietFor: number;
}

export interface LedgerKey {
  readonly space: string;
  /** As in etcd: `‹32 digits›/‹3 digits›` of a block, `‹32 digits›` of a fixed or sticky address. */
  readonly key: string;
  readonly node: string;
  readonly network: string;
}

export type HistoryEvent = AddEvent | DelEvent | CheckEvent | GcEvent | OffEvent | LookEvent;

/** What the networks of a run are, for judging it. */
export interface Law {
  readonly networks: Readonly<Record<string, NetworkLaw>>;
  /** Seconds after which an empty block is back: cooldown and two periods. */
  readonly emptyBlocksReturnIn: number;
}

export interface NetworkLaw {
  readonly space: string;
  readonly ranges: readonly { readonly start: string; readonly end: string }[];
  /** CIDRs. */
  readonly exclude: readonly string[];
}
