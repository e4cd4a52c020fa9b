/** What an agent knows of one network's blocks, and what can happen to it. Values only: decide.ts goes from one to the
 *  next, the daemon and the model carry out what it says. */
import type { BlockState } from '@cni-ts/cluster/blocks-file';

/** A block of this node, as its file has it. */
export interface Hold {
  /** As `blockKey` writes it; of a fixed or sticky address that of the one address. */
  readonly key: string;
  readonly state: BlockState;
  /** What etcd compares before it gives the block back. */
  readonly revision: string;
  readonly claim: string;
  readonly owner?: string;
  readonly sticky?: boolean;
}

/** Whose something is, where it is of one owner; from what has it, without the members that are not there. */
export function whose({ owner, sticky }: { readonly owner?: string | undefined; readonly sticky?: boolean }) {
  return { ...(owner !== undefined && { owner }), ...(sticky && { sticky }) };
}

/** A claim whose outcome is not known yet. */
export interface Try {
  readonly key: string;
  /** Chance: no two claims of any node at any time have the same. */
  readonly claim: string;
  readonly owner?: string;
  readonly sticky?: boolean;
  /** The answer did not come, and the own key is being read. */
  readonly looking: boolean;
}

/** An entry of etcd under this node's name and uid. */
export interface Seen {
  readonly key: string;
  readonly claim: string;
  readonly revision: string;
  /** Revision of its last change. */
  readonly modified: string;
  readonly owner?: string;
  readonly sticky?: boolean;
  /** Whether the node's folder has a reservation in it. */
  readonly inUse: boolean;
}

export interface Pool {
  /** What the file says, in the order of the claims. */
  readonly holds: readonly Hold[];
  /** Whether the file counts: etcd has confirmed it since the node's boot. */
  readonly fresh: boolean;
  /** Claims of holds that etcd has to confirm before the file counts. */
  readonly unsure: readonly string[];
  /** Whether etcd knows the node under this uid. While it does not, nothing is asked of etcd but that. */
  readonly registered: boolean;
  readonly tries: readonly Try[];
  /** Entries that are being confirmed. */
  readonly confirming: readonly Seen[];
  /** Claims that are being given back. */
  readonly returning: readonly string[];
  /** The claims that were held when etcd was asked for its entries, while the answer is awaited. */
  readonly look?: readonly string[];
  /** An operator wants the node's blocks back: it claims none. */
  readonly fencing: boolean;
}

/** How a claim ended. refused: it was not even tried. */
export type Outcome = 'held' | 'taken' | 'failed' | 'refused';

export type Event =
  /** Now and then: is what the file says what etcd has? */
  | { readonly what: 'tick' }
  | { readonly what: 'registered' }
  /** Another uid has the name, or etcd is not the one that it was. */
  | { readonly what: 'halted' }
  | { readonly what: 'listed'; readonly entries: readonly Seen[] }
  | { readonly what: 'unlisted' }
  | { readonly what: 'confirmed'; readonly claim: string; readonly revision: string }
  /** etcd has it no more as it was seen, or nobody knows. */
  | { readonly what: 'unconfirmed'; readonly claim: string }
  /** A block that looks free is wanted. The claim is new. */
  | {
      readonly what: 'want';
      readonly key: string;
      readonly claim: string;
      readonly owner?: string;
      readonly sticky?: boolean;
    }
  | { readonly what: 'claimed'; readonly claim: string; readonly revision: string }
  | { readonly what: 'taken'; readonly claim: string }
  /** etcd has not carried the claim out, and will not. */
  | { readonly what: 'failed'; readonly claim: string }
  /** The answer did not come: it may have been carried out, or may still be. */
  | { readonly what: 'unanswered'; readonly claim: string }
  /** What the key of the claim holds now. */
  | {
      readonly what: 'looked';
      readonly claim: string;
      readonly found?: { readonly claim: string; readonly revision: string };
    }
  | { readonly what: 'unlooked'; readonly claim: string }
  /** Seen under the folder's lock, which is kept until the file is written: no reservation is in the block, and none that was
   *  rests any more. */
  | { readonly what: 'idle'; readonly key: string }
  /** etcd has it no more as this claim, by this give-back or before. */
  | { readonly what: 'returned'; readonly claim: string }
  | { readonly what: 'unreturned'; readonly claim: string }
  /** Under the folder's lock as well. */
  | { readonly what: 'fence'; readonly asked: boolean };

export type Action =
  /** Holds and `fresh`, to the disk, before anything that follows. */
  | { readonly do: 'write' }
  | { readonly do: 'register' }
  | { readonly do: 'list' }
  | { readonly do: 'confirm'; readonly entry: Seen }
  | { readonly do: 'claim'; readonly try: Try }
  /** Read the key of the claim. */
  | { readonly do: 'look'; readonly try: Try }
  | { readonly do: 'giveBack'; readonly hold: Omit<Hold, 'state'> }
  /** Tell who waits for the claim. */
  | { readonly do: 'settle'; readonly try: Try; readonly outcome: Outcome };

export interface Decision {
  readonly pool: Pool;
  readonly actions: readonly Action[];
}

/** An agent that has just started. `bootSeen`: the file is of this boot of the node. */
export function startPool(holds: readonly Hold[], bootSeen: boolean): Pool {
  return {
    holds,
    fresh: bootSeen,
    unsure: bootSeen ? [] : holds.filter(({ state }) => state === 'held').map(({ claim }) => claim),
    registered: false,
    tries: [],
    confirming: [],
    returning: [],
    fencing: false,
  };
}
