/** Plugins that wait for a block of a network. One claim is for as many of them as it has addresses. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Block, bitsOf, blockKey, lengthFor } from '@cni-ts/cluster/block';
import { chooseBlock, type NumberedRange, usableIn } from './choose-block.ts';
import type { Network } from './network.ts';
import { Refused, unanswered, whyNot } from './refusal.ts';

export interface BlockWish {
  readonly ranges: readonly NumberedRange[];
  readonly blockLength?: number | undefined;
  /** For people. */
  readonly text: string;
}

interface Waiter {
  readonly wish: BlockWish;
  readonly done: () => void;
  readonly fail: (why: Refused) => void;
}

/** A block that has just come: so many may look into it before another is claimed for them. */
interface Fresh {
  readonly block: Block;
  readonly until: number;
  left: number;
}

const freshMs = 1000;
const mostClaims = 8;
/** Others take what was chosen only by chance, or where few are left. */
const mostRefusals = 16;
const hintsAgeMs = 60_000;
const electionMs = 900;
const againMs = 100;

export class BlockQueue {
  readonly #network: Network;
  #waiting: Waiter[] = [];
  #fresh: Fresh[] = [];
  /** Addresses that running claims will bring. */
  #coming = 0;
  #claims = 0;
  /** Blocks that are being claimed. */
  readonly #chosen = new Map<string, Block>();

  constructor(network: Network) {
    this.#network = network;
    network.watchers.add(() => this.#pump());
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Resolves when a block that has one of the addresses is in the file. Rejects with Refused. */
  wait(wish: BlockWish, signal: AbortSignal): Promise<void> {
    return new Promise((done, fail) => {
      const waiter = { wish, done, fail };
      signal.addEventListener('abort', () => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
      });
      this.#waiting.push(waiter);
      this.#pump();
    });
  }

  /** Few addresses are left: one more block, unless one is on its way or has just come. */
  hint(wish: BlockWish): void {
    if (this.#claims > 0 || this.#isEmptyHeld(wish)) return;
    if (this.#isReady()) void this.#claimFor(wish);
  }

  /** Ends all waits with this. */
  refuse(why: Refused): void {
    for (const { fail } of this.#waiting.splice(0)) fail(why);
  }

  #isReady(): boolean {
    const { pool, member } = this.#network;
    return pool.registered && pool.fresh && !pool.fencing && member.trouble.length === 0;
  }

  #pump(): void {
    const now = performance.now();
    this.#fresh = this.#fresh.filter(({ until, left }) => until > now && left > 0);
    if (this.#waiting.length > 0 && this.#fresh.length > 0) this.#serveFresh();
    if (this.#waiting.length === 0) return;
    if (!this.#isReady()) {
      const { pool, member } = this.#network;
      if (pool.fencing || member.trouble.length > 0) {
        const why = whyNot(member);
        if (why) this.refuse(why);
      }
      return;
    }
    while (this.#waiting.length > this.#coming && this.#claims < mostClaims) {
      const next = this.#waiting[Math.min(this.#coming, this.#waiting.length - 1)];
      if (!next) return;
      void this.#claimFor(next.wish);
    }
  }

  #serveFresh(): void {
    const { usedIn, restingIn } = this.#network.occupancy();
    const hasFree = ({ block }: Fresh, { ranges }: BlockWish) =>
      usableIn(block, ranges) > BigInt(usedIn(block) + restingIn(block));
    this.#waiting = this.#waiting.filter(({ wish, done }) => {
      const found = this.#fresh.find((one) => one.left > 0 && hasFree(one, wish));
      if (!found) return true;
      found.left--;
      done();
      return false;
    });
  }

  async #claimFor(wish: BlockWish): Promise<void> {
    this.#claims++;
    // Until it is chosen nobody knows how large it is; a first guess keeps a burst from claiming for each.
    let expected = this.#guess(wish);
    this.#coming += expected;
    try {
      const block = await this.#claim(wish, (left) => {
        this.#coming += left - expected;
        expected = left;
      });
      const left = Number(usableIn(block, wish.ranges));
      this.#fresh.push({ block, left, until: performance.now() + freshMs });
    } catch (error) {
      const why = error instanceof Refused ? error : new Refused(String(error));
      const its = this.#waiting.filter((one) => one.wish.text === wish.text);
      this.#waiting = this.#waiting.filter((one) => one.wish.text !== wish.text);
      for (const { fail } of its) fail(why);
    } finally {
      this.#claims--;
      this.#coming -= expected;
    }
    this.#pump();
  }

  #guess({ ranges, blockLength }: BlockWish): number {
    const [range] = ranges;
    if (!range) return 1;
    const { family, start, end } = range;
    const length =
      blockLength ?? lengthFor({ family, addresses: end - start + 1n }, this.#network.member.nodes);
    return Math.max(1, Math.min(64, 2 ** (bitsOf(range) - length)));
  }

  /** Throws Refused. While its members choose a leader etcd is away for a moment; if it was away before, nobody waits. */
  async #claim(wish: BlockWish, chosen: (usable: number) => void): Promise<Block> {
    const until = this.#network.member.reachable.is ? performance.now() + electionMs : 0;
    for (;;) {
      try {
        return await this.#claimOnce(wish, chosen);
      } catch (error) {
        if (!(error instanceof Away) || performance.now() > until) throw error;
        await pause(againMs);
      }
    }
  }

  async #claimOnce(wish: BlockWish, chosen: (usable: number) => void): Promise<Block> {
    const { member, facts } = this.#network;
    const grid = await member.grid(facts.space);
    if (!grid.ok) throw new Away(this.#network, grid.why);
    let refusals = 0;
    for (;;) {
      const isOld = performance.now() - this.#network.hintsAt > hintsAgeMs;
      if (isOld || refusals > 0) {
        const why = await this.#network.refresh();
        if (why !== undefined) throw new Away(this.#network, why);
      }
      const taken = [
        ...this.#network.hints,
        ...this.#network.blocks().map(({ block }) => block),
        ...this.#chosen.values(),
      ];
      const block = chooseBlock({ ...wish, nodes: member.nodes, largest: grid.value.largest }, taken);
      if (!block) {
        if (refusals === 0 && !isOld && this.#network.hintsAt < performance.now() - 500) {
          refusals = 1; // The hints may be old: others have given back meanwhile.
          continue;
        }
        throw this.#exhausted(wish);
      }
      chosen(Number(usableIn(block, wish.ranges)));
      const key = blockKey(block);
      this.#chosen.set(key, block);
      const { outcome, why } = await this.#network.claim(block).finally(() => this.#chosen.delete(key));
      if (outcome === 'held') return block;
      if (outcome === 'failed') throw new Away(this.#network, why);
      if (outcome === 'refused' && !this.#isReady()) {
        throw whyNot(member) ?? new Refused('nothing can be claimed just now', 'try again');
      }
      if (++refusals > mostRefusals) {
        throw new Refused(
          `${mostRefusals} blocks of ${wish.text} were taken by other nodes just before`,
          'many nodes claim at once, or few blocks are left: try again, or make the range larger',
        );
      }
    }
  }

  #exhausted({ text, ranges }: BlockWish): Refused {
    const { hints, facts } = this.#network;
    const its = hints.filter((one) => usableIn(one, ranges) > 0n);
    const nodes = new Set(its.map(({ node }) => node)).size;
    return new Refused(
      `no block is free in ${text} of space ${facts.space}: ${its.length} are held by ${nodes} nodes`,
      'see who holds them with "cnitool ipam spaces"; make the range larger, or fence nodes that are gone ("cnitool ipam fence NODE --off")',
    );
  }

  #isEmptyHeld({ ranges }: BlockWish): boolean {
    const { usedIn } = this.#network.occupancy();
    return this.#network
      .blocks()
      .some(
        ({ state, owner, block }) =>
          state === 'held' && owner === undefined && usableIn(block, ranges) > 0n && usedIn(block) === 0,
      );
  }
}

/** etcd was not there for this one request at least. */
class Away extends Refused {
  constructor({ member }: Network, why: string) {
    const { message, details } = unanswered(member, why);
    super(message, details);
  }
}
