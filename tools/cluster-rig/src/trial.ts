/** The trial: load on all nodes, faults one after the other, and between them a look at whether all is right. */
import { collectAll, look, takeStock } from './look.ts';
import { type Fault, faults, strike } from './nemesis.ts';
import { now, sleep } from './stage.ts';
import { say, some, type World } from './world.ts';

export interface TrialPlan {
  /** Answered ADDs to reach. */
  readonly adds: number;
  readonly until: number;
  readonly lanes: number;
  readonly faults: readonly string[] | undefined;
  /** Called once, in the middle. */
  readonly sabotage?: (world: World) => Promise<void>;
}

/** Returns the faults that were tried. */
export async function trial(world: World, plan: TrialPlan): Promise<string[]> {
  const { load, random } = world;
  const wanted = faults.filter(({ name }) => plan.faults?.some((one) => name.includes(one)) ?? true);
  const tried: string[] = [];
  let sabotage = plan.sabotage;
  load.start(plan.lanes);
  // All at least once; then on, until there were enough ADDs.
  const isEnough = (round: number) => round > 0 && load.added >= plan.adds;
  for (let round = 0; !isEnough(round); round++) {
    const queue = some(random, wanted, wanted.length);
    while (queue.length > 0 && now() < plan.until && !isEnough(round)) {
      const first = queue.shift();
      if (!first) break;
      if (first.of === 'all') await load.pause();
      tried.push(first.name, ...(await withOthers(world, first, queue)));
      load.resume();
      await sleep(1 * world.patience);
      await load.pause();
      if (sabotage && tried.length >= 2) {
        await sabotage(world);
        sabotage = undefined;
      }
      await takeStock(world);
      say(`${load.added} ADDs so far`);
      load.resume();
    }
    if (round === 0 && queue.length > 0) {
      const names = queue.map(({ name }) => name).join(', ');
      world.complaints.push(`the time was over before these faults were tried: ${names}`);
    }
    if (now() >= plan.until) break;
    if (wanted.length === 0) await sleep(1);
  }
  await load.end();
  return tried;
}

/** Lets a fault set in, and until it is healed those of the other kind, one after the other; their names. */
async function withOthers(world: World, first: Fault, queue: Fault[]): Promise<string[]> {
  let healed = false;
  const striking = strike(world, first).finally(() => {
    healed = true;
  });
  const names: string[] = [];
  while (!healed && first.of !== 'all') {
    const at = queue.findIndex(({ of }) => of !== 'all' && of !== first.of);
    const [other] = at === -1 ? [] : queue.splice(at, 1);
    if (!other) break;
    await strike(world, other);
    names.push(other.name);
  }
  await striking;
  return names;
}

/** Takes all away, waits as long as blocks may take to return, and looks. */
export async function settle(world: World, seconds: number): Promise<void> {
  await Promise.all(
    world.runtimes
      .filter(({ node }) => node.isOn)
      .map(async (runtime) => {
        for (const [id, { network }] of [...runtime.live]) await runtime.del(0, id, network);
        await collectAll(world, runtime);
      }),
  );
  const last = now();
  await sleep(seconds + 1);
  await look(world, false, now() - last);
}
