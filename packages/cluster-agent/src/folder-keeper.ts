/** Looks into a network's folder of reservations, now and then and where somebody waits when something changes there, and says
 *  which blocks are idle. What is said is said under the folder's lock. */
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { blockOfKey, sizeOf } from '@cni-ts/cluster/block';
import { errorText } from '@cni-ts/spec/cni-error';
import { type FolderView, withFolderLock } from './folder-view.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Network } from './network.ts';
import type { Hold } from './pool.ts';

/** A plugin that has its answer takes its address by then. */
const leastAgeMs = 10_000;
const settleMs = 200;
const lockAgainMs = 50;

export class FolderKeeper {
  readonly #network: Network;
  readonly #log: Log;
  readonly #metrics: Metrics;
  /** Claims with the time since when their blocks are empty. */
  readonly #emptySince = new Map<string, number>();
  readonly #wasUsed = new Set<string>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(network: Network, log: Log, metrics: Metrics) {
    this.#network = network;
    this.#log = log;
    this.#metrics = metrics;
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }

  /** After what the network's blocks went through. */
  soonIfChanged(): void {
    if (this.#network.pool.holds === this.#seen) return;
    this.#seen = this.#network.pool.holds;
    this.soon();
  }
  #seen: readonly Hold[] = [];

  /** Lost blocks that containers still use: nobody may have them yet. */
  async reclaim(): Promise<void> {
    const { pool } = this.#network;
    if (!pool.registered || !pool.fresh || pool.fencing) return;
    const lost = pool.holds.filter(({ state }) => state === 'lost');
    if (lost.length === 0) return;
    const { usedIn } = this.#network.occupancy();
    for (const { key, owner, sticky = false } of lost) {
      const block = blockOfKey(key);
      if (usedIn(block) === 0) continue;
      await this.#network.claim(block, owner === undefined ? undefined : { owner, sticky });
    }
  }

  /** Looks soon: several changes are one look. */
  soon(milliseconds = settleMs): void {
    if (this.#closed || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.look();
    }, milliseconds);
  }

  /** One look: what is idle goes back, a request to drain is followed. */
  look(now = performance.now()): void {
    if (this.#closed) return;
    try {
      this.#watch();
      this.#look(now);
    } catch (error) {
      this.#network.tellUnseen(error);
    }
  }

  #look(now: number): void {
    const network = this.#network;
    const view = this.#network.view();
    this.#metrics.used.set({ network: network.name }, view.used);
    const idle = this.#idle(view, now);
    const { fencing } = network.member;
    if (idle.length === 0 && fencing === network.pool.fencing) return;
    const held = withFolderLock(network.facts.folder, () => {
      if (fencing !== network.pool.fencing) network.happens({ what: 'fence', asked: fencing });
      const again = this.#network.view();
      for (const { key } of idle) {
        if (again.usedIn(blockOfKey(key)) === 0) network.happens({ what: 'idle', key });
      }
    });
    if (!held) this.soon(lockAgainMs);
  }

  #idle(view: FolderView, now: number): Hold[] {
    const { holds } = this.#network.pool;
    const claims = new Set(holds.map(({ claim }) => claim));
    for (const claim of this.#emptySince.keys()) if (!claims.has(claim)) this.#emptySince.delete(claim);
    for (const claim of this.#wasUsed) if (!claims.has(claim)) this.#wasUsed.delete(claim);
    const empty: Hold[] = [];
    let free = 0;
    for (const hold of holds) {
      const block = blockOfKey(hold.key);
      const used = view.usedIn(block);
      if (used > 0) {
        this.#wasUsed.add(hold.claim);
        this.#emptySince.delete(hold.claim);
        if (hold.state === 'held' && hold.owner === undefined) free += sizeOf(block) - used;
        continue;
      }
      if (!this.#emptySince.has(hold.claim)) this.#emptySince.set(hold.claim, now);
      empty.push(hold);
    }
    const idle = empty.filter((hold) => this.#isRested(hold, view, now));
    // What gives the next addresses stays, so that it is not claimed anew each minute.
    const spare = idle.findIndex(
      ({ state, key, owner }) =>
        state === 'held' && owner === undefined && view.used > 0 && free < sizeOf(blockOfKey(key)) / 4,
    );
    if (spare >= 0 && !this.#network.member.fencing) idle.splice(spare, 1);
    for (const hold of empty) if (!idle.includes(hold)) this.#lookWhenRested(hold, now);
    return idle;
  }

  #isRested(hold: Hold, view: FolderView, now: number): boolean {
    if (hold.state === 'lost') return true;
    const age = now - (this.#emptySince.get(hold.claim) ?? now);
    // Its owner alone gets it, at once.
    if (hold.sticky && this.#wasUsed.has(hold.claim)) return true;
    if (view.restingIn(blockOfKey(hold.key)) > 0) return false;
    if (this.#network.member.fencing) return true;
    const rest = this.#network.facts.cooldown * 1000;
    const needed = this.#wasUsed.has(hold.claim) ? rest : Math.max(rest, leastAgeMs);
    return age >= needed;
  }

  /** Not later than by the next period; a short cooldown deserves a short wait. */
  #lookWhenRested({ claim }: Hold, now: number): void {
    const left = this.#network.facts.cooldown * 1000 - (now - (this.#emptySince.get(claim) ?? now));
    if (left > 0 && left < 2000) this.soon(left + 10);
  }

  /** A fixed or sticky address goes back at once, for somebody may wait for it on another node: only that is worth being woken
   *  by each change. All else goes back after a rest, and the look of each period is enough. */
  #watch(): void {
    const isWanted = this.#network.pool.holds.some(({ owner }) => owner !== undefined);
    if (!isWanted) {
      this.#watcher?.close();
      this.#watcher = undefined;
    }
    if (!isWanted || this.#watcher) return;
    const { folder } = this.#network.facts;
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    try {
      // `persistent`: what it waits for must not keep the process.
      this.#watcher = watch(folder, { persistent: false }, () => this.soon());
      this.#watcher.on('error', () => {
        // The folder was removed; the next look makes it anew.
        this.#watcher?.close();
        this.#watcher = undefined;
      });
    } catch (error) {
      // No watches are left on this machine: the look of each period is enough.
      this.#log.warn(`${folder} is not watched: ${errorText(error)}`, { network: this.#network.name });
    }
  }
}
