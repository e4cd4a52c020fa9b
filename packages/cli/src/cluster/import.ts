/**
 * `cnitool ipam import --whereabouts FILE`: addresses that whereabouts has given to containers of this node become the
 * node's own, so that nobody else in the cluster gets them. Each node takes over what lives there: who else could see that
 * it does, or give it back one day?
 */
import { equalIp } from '@cni-ts/address/ip';
import type { ImportAnswer, ImportedAddress } from '@cni-ts/cluster/agent-talk';
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import { holderText, isHeldBy } from '@cni-ts/ipam-kit/store';
import { grouped } from '../grouped.ts';
import type { Attached } from '../node/attached.ts';
import { askAgent, isRefusal, refusalText } from './agent.ts';
import type { PoolNetwork } from './pool-network.ts';
import type { Allocation } from './whereabouts-export.ts';

export interface Mine extends Allocation {
  readonly at: Attached;
  readonly network: PoolNetwork;
}

export interface Sorted {
  readonly mine: readonly Mine[];
  /** Of containers that this node does not know. */
  readonly elsewhere: readonly Allocation[];
  /** Of this node, and not to be taken over. */
  readonly left: readonly Left[];
}

export interface Left {
  readonly address: string;
  readonly containerId: string;
  readonly pool: string;
  readonly why: string;
  /** Nobody lives for it: that it stays is right. */
  readonly isGone: boolean;
}

/** `networks`: this node's with addresses of the cluster, by their names. */
export function sortAllocations(
  allocations: readonly Allocation[],
  attached: readonly Attached[],
  networks: ReadonlyMap<string, PoolNetwork>,
): Sorted {
  const byContainer = grouped(attached, ({ containerId }) => containerId);
  const mine: Mine[] = [];
  const elsewhere: Allocation[] = [];
  const left: Left[] = [];
  for (const one of allocations) {
    const known = byContainer.get(one.containerId);
    if (!known) {
      elsewhere.push(one);
      continue;
    }
    const { address, containerId, pool } = one;
    const leave = (why: string, isGone = false) => left.push({ address, containerId, pool, why, isGone });
    const at = known.find(({ addresses }) => addresses.some(({ ip }) => equalIp(ip, one.ip)));
    if (!at) {
      leave('the container is here, and by its result it has another address');
      continue;
    }
    const network = networks.get(at.network);
    if (!at.lives) leave(`its namespace ${at.netns} is gone`, true);
    else if (network && !network.asking) leave(`network ${at.network} cannot be used: ${network.unknown}`);
    else if (!network) leave(`its network ${at.network} is not given out by cluster-pool on this node`);
    else mine.push({ ...one, at, network });
  }
  return { mine, elsewhere, left };
}

export interface Taken {
  readonly taken: readonly Mine[];
  readonly refused: readonly {
    readonly address: string;
    readonly containerId: string;
    readonly why: string;
  }[];
}

/** The agent is asked network by network. With `yes` an address is reserved before that: one that is in no use the agent
 *  would give back at once. */
export function takeOver(mine: readonly Mine[], yes: boolean): Taken {
  const taken: Mine[] = [];
  const refused: Taken['refused'][number][] = [];
  for (const all of grouped(mine, ({ network }) => network.network).values()) {
    const [first] = all;
    if (!first) continue;
    const { network } = first;
    const { asking } = network;
    if (!asking) continue; // they were left
    const shelf = new Reserving(network.folder);
    try {
      const free = all.filter((one) => {
        const why = yes ? shelf.reserve(one) : shelf.against(one);
        if (why !== undefined) refused.push({ address: one.address, containerId: one.containerId, why });
        return why === undefined;
      });
      if (free.length === 0) continue;
      const answer = askAgent<ImportAnswer>(network.socket, {
        ...asking,
        ask: 'import',
        reservations: free.map(imported),
        yes,
      });
      if (isRefusal(answer)) {
        const why = refusalText(answer);
        for (const { address, containerId } of free) refused.push({ address, containerId, why });
        continue;
      }
      const given = new Set(answer.taken);
      const reasons = new Map(answer.refused.map(({ address, why }) => [address, why]));
      for (const one of free) {
        const { address, containerId } = one;
        if (given.has(address)) {
          taken.push(one);
          shelf.keep(address);
        } else {
          const why = reasons.get(address) ?? 'the agent said nothing of it';
          refused.push({ address, containerId, why });
        }
      }
    } finally {
      shelf.takeBack();
    }
  }
  return { taken, refused };
}

function imported({ address, containerId, podRef, at }: Mine): ImportedAddress {
  return { address, containerId, ifname: at.ifname, podRef };
}

/** Reservations that are made for now, and stay when they are kept. */
class Reserving {
  readonly #folder: Folder;
  readonly #made = new Map<string, Mine>();

  constructor(folder: string) {
    this.#folder = new Folder(folder, undefined);
  }

  /** Why it cannot be reserved; undefined where it is. One of an earlier call is as good. */
  reserve(one: Mine): string | undefined {
    return this.#folder.hold((store) => {
      const { containerId, ifname } = one.at;
      if (store.take(one.address, { containerId, ifname })) {
        this.#made.set(one.address, one);
        return undefined;
      }
      return conflict(store.holder(one.address), one);
    });
  }

  /** The same without doing it. */
  against(one: Mine): string | undefined {
    const store = this.#folder.peek();
    return store.isFree(one.address) ? undefined : conflict(store.holder(one.address), one);
  }

  keep(address: string): void {
    this.#made.delete(address);
  }

  /** Those that were not kept. */
  takeBack(): void {
    if (this.#made.size === 0) return;
    this.#folder.hold((store) => {
      for (const { address, at } of this.#made.values()) {
        if (isHeldBy(store.holder(address), at)) store.release(address);
      }
    });
  }
}

function conflict(holder: string | undefined, { at }: Mine): string | undefined {
  return isHeldBy(holder, at) ? undefined : `it is reserved here for ${holderText(holder)}`;
}
