/** What an IPAM plugin with a memory stands on: who has which address of a network, whatever keeps that. */
import type { Cidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import type { Attachment, Request } from '@cni-ts/skeleton/plugin';

/** The reservations of one network. */
export interface Reservations {
  /** Where an operator finds them. */
  readonly where: string;
  /** Runs `work` while nobody else may change them. */
  hold<T>(work: (store: Store) => T): T;
  /** A look without the lock: what is taken in it is remembered in it alone. */
  peek(): Store;
  /** Throws why ADD could keep nothing. */
  requireAccess(): void;
  /** False where nothing is kept, and nothing can be: DEL and GC have nothing to do. */
  isKept(): boolean;
}

/** The reservations while they are held, or at a glance. Names are canonical address texts, as formatIp gives them. */
export interface Store {
  /** Where an operator finds them. */
  readonly where: string;
  /** What is taken here is remembered in this look alone: nothing may be written. */
  readonly isGlance?: boolean;
  /** Takes the address for the attachment; false when somebody has it. */
  take(name: string, at: Attachment): boolean;
  /** Gives an address free; it may be so already. */
  release(name: string): void;
  /** Undo of `take`, for when the hold is over: unless somebody else has the address by now. */
  giveBack(name: string, at: Attachment): void;
  owned(at: Attachment): Owned;
  /** Like `owned`, for DEL and CHECK: that there is nothing is not taken from a hint. */
  ownedForSure(at: Attachment): Owned;
  /** Every reservation with who has it; those that cannot be read are left out. */
  all(): ReadonlyMap<string, string>;
  /** All that may be a reservation, and perhaps more, in one look. */
  names(): string[];
  /** Who has the address, as ownerOf writes it; undefined for nobody, or nobody that can be read. */
  holder(name: string): string | undefined;
  isFree(name: string): boolean;
  /** Whether the reservation was last written before `time`, in nanoseconds since 1970. */
  isOlderThan(name: string, time: bigint): boolean;
  /** The address that the range set handed out last, where that is known; what keeps it from being read is logged. */
  cursor(set: number, log: (line: string) => void): Ip | undefined;
  setCursor(set: number, ip: Ip): void;
}

/** What an attachment owns: reservations in its own name, and those of releases that wrote the container id alone, which
 *  belong to any interface of the container. */
export interface Owned {
  readonly exact: readonly string[];
  readonly legacy: readonly string[];
}

/** One address of an attachment. */
export interface Given {
  readonly cidr: Cidr;
  readonly gateway: Ip | undefined;
}

/** Gives an attachment its addresses: takes them in the store, and registers the undo of that. */
export type Choice = (store: Store, request: Request<unknown>) => readonly Given[];

/** Thrown by a choice that can go on once something has come from elsewhere, which is waited for without the hold. */
export class Wanting extends Error {
  /** What is missing, for a dry run: `a block of addresses …`. */
  readonly what: string;
  /** Gets it, or throws why it cannot be had: also when it has been tried often enough. */
  readonly get: () => void;

  constructor(what: string, get: () => void) {
    super(`${what} is needed first`);
    this.what = what;
    this.get = get;
  }
}

/** How a reservation names its attachment. */
export function ownerOf({ containerId, ifname }: Attachment): string {
  return `${containerId}\r\n${ifname}`;
}

/** Whether a reservation is the attachment's, by what it holds. */
export function isHeldBy(holder: string | undefined, at: Attachment): boolean {
  return holder === ownerOf(at) || holder === at.containerId;
}

/** The same in an operator's words. */
export function holderText(holder: string | undefined): string {
  const [id, ifname] = (holder ?? '').split('\r\n');
  if (!id) return 'something that is not a reservation';
  return ifname ? `container ${id}, interface ${ifname}` : `container ${id}`;
}
