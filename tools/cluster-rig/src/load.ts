/** The load of a run: on every lane of every node ADD, DEL, CHECK and GC by chance, around a number of attachments that live. */
import type { Random } from '@cni-ts/torture/random';
import type { RigNetwork } from './networks.ts';
import type { Runtime } from './runtime.ts';
import { sleep } from './stage.ts';

export interface LoadPlan {
  readonly networks: readonly RigNetwork[];
  /** Attachments of a node, around which their number moves. */
  readonly living: number;
  /** Of all calls, the part that is killed or stopped on the way. */
  readonly hurt: number;
  /** Seconds that a lane rests after each call. */
  readonly rest: number;
}

export class Load {
  readonly #plan: LoadPlan;
  readonly #random: Random;
  readonly #runtimes: readonly Runtime[];
  #paused = false;
  #over = false;
  #running: Promise<void>[] = [];
  /** Answered ADDs. */
  added = 0;
  /** Refused ones, by what was said, addresses and numbers left out. */
  readonly refused = new Map<string, number>();

  constructor(plan: LoadPlan, runtimes: readonly Runtime[], random: Random) {
    this.#plan = plan;
    this.#runtimes = runtimes;
    this.#random = random;
  }

  start(lanes: number): void {
    for (const runtime of this.#runtimes) {
      for (let lane = 0; lane < lanes; lane++) this.#running.push(this.#lane(runtime, lane));
    }
  }

  /** Resolves when no call is under way; then nothing is asked until `resume`. */
  async pause(): Promise<void> {
    this.#paused = true;
    await Promise.all(this.#runtimes.map((runtime) => runtime.idle()));
  }

  resume(): void {
    this.#paused = false;
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#running);
  }

  async #lane(runtime: Runtime, lane: number): Promise<void> {
    while (!this.#over) {
      if (this.#paused || !runtime.node.isOn) await sleep(0.05);
      else if (!(await this.#one(runtime, lane))) await sleep(0.05 + this.#random.fraction() * 0.2);
      if (this.#plan.rest > 0) await sleep(this.#plan.rest);
    }
  }

  /** False where it did not succeed: a runtime waits before it tries again. */
  async #one(runtime: Runtime, lane: number): Promise<boolean> {
    const { networks, living } = this.#plan;
    const random = this.#random;
    const [owed] = runtime.owed;
    if (owed && random.chance(0.5)) {
      const { error } = await runtime.del(lane, owed[0], owed[1]);
      return error === undefined;
    }
    const count = runtime.live.size;
    const choice = random.fraction();
    if (count > 0 && choice < 0.05) {
      const id = random.pick([...runtime.live.keys()]);
      const one = runtime.live.get(id);
      // Another lane may take it away meanwhile: CHECK of what is gone fails by right.
      if (!one) return true;
      const { error } = await this.#checked(runtime, lane, id, one.network);
      return error === undefined;
    }
    // Above the number more go than come, below it more come.
    if (count > 0 && choice < 0.05 + 0.95 * Math.min(1, count / (2 * living))) {
      const id = random.pick([...runtime.live.keys()]);
      const one = runtime.live.get(id);
      if (!one) return true;
      const { error } = await runtime.del(lane, id, one.network, this.#hurt());
      return error === undefined;
    }
    const signal = this.#hurt();
    const network = random.pick(networks);
    // Now and then somebody wants one address and no other.
    const fixed = network.name === 'tight' && random.chance(0.03);
    const args = fixed ? `IP=10.64.0.${random.below(256)}` : '';
    const { answer, error } = await runtime.add(lane, network, { args, ...(signal && { signal }) });
    if (error !== undefined) {
      // It may be another's, or excluded.
      if (fixed) return true;
      const [first = ''] = error.split(' (');
      const kind = first.slice(0, 200).replaceAll(/[0-9a-f]*:[0-9a-f:]+|\d+(\.\d+)*/g, '…');
      this.refused.set(kind, (this.refused.get(kind) ?? 0) + 1);
      return false;
    }
    if (answer && answer.status === 0) this.added++;
    return true;
  }

  async #checked(runtime: Runtime, lane: number, id: string, network: RigNetwork) {
    // Taken out of what lives, so that no other lane deletes it on the way.
    const one = runtime.live.get(id);
    if (!one) return { error: undefined };
    runtime.live.delete(id);
    runtime.checking.set(id, one);
    const outcome = await runtime.check(lane, id, network);
    if (runtime.checking.delete(id)) runtime.live.set(id, one);
    return outcome;
  }

  #hurt(): { number: 9 | 19; after: number; pause: number } | undefined {
    const random = this.#random;
    if (!random.chance(this.#plan.hurt)) return undefined;
    const after = random.fraction() * 4000;
    return random.chance(0.7)
      ? { number: 9, after, pause: 0 }
      : { number: 19, after, pause: random.below(3000) };
  }
}
