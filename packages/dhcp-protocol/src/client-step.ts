/** What the clients of both families have in common: what they are told, what they say, how they go by the clock. */
import type { Now } from './clock.ts';

/** What a client is told. */
export type ClientEvent<M> =
  /** Acquire. `address`: ask for this one first (INIT-REBOOT). `linkUp` false: there is no carrier yet. */
  | { readonly type: 'start'; readonly address?: string; readonly linkUp?: boolean }
  /** The state was read from disk by a daemon that has just been started. A valid lease goes on without a packet. */
  | { readonly type: 'resumed'; readonly linkUp?: boolean }
  /** As it arrives. What came while the client was bound is not kept for when it renews: the socket is closed meanwhile,
   *  or emptied. */
  | { readonly type: 'message'; readonly message: M }
  /** wakeAt has come; harmless at any other time. */
  | { readonly type: 'timer' }
  | { readonly type: 'linkUp' }
  | { readonly type: 'linkDown' }
  /** Renew now, whatever T1 says. */
  | { readonly type: 'renew' }
  /** Somebody else uses the address: duplicate address detection failed, say. */
  | { readonly type: 'decline' }
  /** Give the address back and stop. */
  | { readonly type: 'release' };

/** What the caller has to do about the address on the link. At most one comes from a step. */
export type ClientOutcome<L> =
  /** There is a lease where none was in use. */
  | { readonly type: 'bound'; readonly lease: L }
  /** A stored lease is still good. */
  | { readonly type: 'resumed'; readonly lease: L }
  /** The same address for longer, nothing else is new. */
  | { readonly type: 'renewed'; readonly lease: L }
  /** The same address; router, routes, DNS or another option differ. */
  | { readonly type: 'options'; readonly lease: L; readonly previous: L }
  /** Another address or mask: the previous one must go from the link, this one must be put there. */
  | { readonly type: 'changed'; readonly lease: L; readonly previous: L }
  /** The lease ran out: the address must not be used any more. The client begins anew. */
  | { readonly type: 'expired'; readonly previous: L }
  /** The server took the address back, or it was declined: likewise. */
  | { readonly type: 'lost'; readonly reason: string; readonly previous: L }
  /** Acquiring is given up; the client stopped. `error` is the reference's word, `reason` says more. */
  | { readonly type: 'failed'; readonly error: string; readonly reason: string }
  /** After the event `release`; the client stopped. */
  | { readonly type: 'released'; readonly previous?: L };

export interface ClientStep<S, M, O> {
  readonly state: S;
  readonly send: readonly M[];
  /** Milliseconds of boottime at which the event `timer` is wanted; undefined: never. */
  readonly wakeAt?: number;
  /** What is to be written to disk is the state of each step that has one. */
  readonly outcome?: O;
}

/** One step in the making. */
export interface ClientTurn<S, M, O> {
  readonly state: { -readonly [K in keyof S]: S[K] };
  /** Milliseconds of boottime. */
  readonly at: number;
  readonly random: () => number;
  readonly send: M[];
  outcome?: O;
}

/** What a turn came to. `times`: at which something is due. */
export function stepOf<S, M, O>(
  { state, send, outcome }: ClientTurn<S, M, O>,
  times: readonly (number | undefined)[],
): ClientStep<S, M, O> {
  let wakeAt: number | undefined;
  for (const time of times) if (time !== undefined && (wakeAt === undefined || time < wakeAt)) wakeAt = time;
  return {
    state,
    send,
    ...(wakeAt !== undefined && { wakeAt }),
    ...(outcome !== undefined && { outcome }),
  };
}

/** By how much times are to be moved that were written down at `stamp`; undefined where they are of this boot. What the
 *  calendar says has passed meanwhile counts; one that was set back says nothing, and nothing passed. */
export function clockMoved(stamp: Now, now: Now): number | undefined {
  if (stamp.boot === now.boot && now.boottime >= stamp.boottime) return undefined;
  return now.boottime - stamp.boottime - Math.max(0, now.wall - stamp.wall);
}

/** The times of a lease. */
interface Times {
  readonly since: number;
  readonly renewAt?: number;
  readonly rebindAt?: number;
  readonly preferredUntil?: number;
  readonly expiresAt?: number;
}

/** The lease with all its times moved. */
export function movedLease<L extends Times>(lease: L, by: number): L {
  const { renewAt, rebindAt, preferredUntil, expiresAt } = lease;
  return {
    ...lease,
    since: lease.since + by,
    ...(renewAt !== undefined && { renewAt: renewAt + by }),
    ...(rebindAt !== undefined && { rebindAt: rebindAt + by }),
    ...(preferredUntil !== undefined && { preferredUntil: preferredUntil + by }),
    ...(expiresAt !== undefined && { expiresAt: expiresAt + by }),
  };
}
