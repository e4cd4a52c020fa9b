/** What is measured, on the same etcd and the same nodes as the trial, before it. */
import { quantile } from '@cni-ts/bench/statistics';
import type { LauncherAnswer } from './launcher.ts';
import { local, type RigNetwork, wide } from './networks.ts';
import type { Runtime } from './runtime.ts';
import { type SharedObjectFigures, sharedObject } from './shared-object.ts';
import { now, sleep } from './stage.ts';
import { say, type World } from './world.ts';

/** Milliseconds. */
export interface Times {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
}

export interface Figures {
  /** ADD with an address at hand, and host-local's, in turns on one node with nothing else going on. */
  readonly atHand: Times;
  readonly hostLocal: Times;
  /** ADD for which a block has to be claimed. */
  readonly claims: Times;
  /** Many nodes at once. */
  readonly crowd: {
    readonly nodes: number;
    readonly adds: number;
    readonly perSecond: number;
    readonly times: Times;
    /** Calls that were told to try again later, and did. */
    readonly again: number;
    readonly transactions: number;
    readonly requests: number;
  };
  readonly hostLocalCrowd: { readonly adds: number; readonly perSecond: number };
  /** Seconds for 1,000 attachments on 10 nodes. */
  readonly thousand: number | undefined;
  readonly sharedObject: SharedObjectFigures;
  /** Bytes, of one agent. */
  readonly agentMemory: number;
}

export interface FiguresPlan {
  readonly adds: number;
  readonly rounds: number;
  readonly sharedSeconds: number;
}

export async function measure(world: World, plan: FiguresPlan): Promise<Figures> {
  const [one] = world.runtimes;
  if (!one) throw new Error('no node');
  say('ADD with an address at hand, beside host-local');
  const [atHand, hostLocal] = await alone(one, plan.rounds);
  say(`${plan.adds} ADDs on ${world.runtimes.length} nodes`);
  const before = await world.members.served();
  const { times, perSecond, adds, again } = await crowd(world.runtimes, wide('crowd'), plan.adds);
  const after = await world.members.served();
  say('the same with host-local');
  const locals = await crowd(world.runtimes, local('crowd-local'), Math.ceil(plan.adds / 5));
  say('1,000 on 10 nodes');
  const ten = world.runtimes.slice(0, 10);
  const began = now();
  if (ten.length === 10) await crowd(ten, wide('thousand'), 1000);
  const thousand = ten.length === 10 ? now() - began : undefined;
  // After the crowd, for these blocks return in their own time.
  say('ADD that claims');
  const claims = await claiming(one, claimedAtOnce * 3);
  const agentMemory = Math.max(...world.runtimes.map(({ node }) => node.agentMemory));
  say("whereabouts' way");
  const shared = await sharedObject(world.members.endpoints, 50, plan.sharedSeconds);
  return {
    ...{ atHand, hostLocal, claims, thousand, agentMemory, sharedObject: shared },
    crowd: {
      ...{ nodes: world.runtimes.length, adds, perSecond, times, again },
      transactions: after.transactions - before.transactions,
      requests: after.requests - before.requests,
    },
    hostLocalCrowd: { adds: locals.adds, perSecond: locals.perSecond },
  };
}

function timesOf(took: readonly number[]): Times {
  return { count: took.length, median: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

/** Milliseconds; throws what the plugin said where it refused. */
function tookOf(answer: LauncherAnswer | undefined): number {
  if (answer?.status !== 0) throw new Error(`a measured ADD failed: ${answer?.output}`);
  return (answer.ended - answer.began) * 1000;
}

/** Alternately ours and host-local's, on the same disk. */
async function alone({ node }: Runtime, rounds: number): Promise<[Times, Times]> {
  const sides = [wide('alone'), local('alone-local')].map((network) => {
    node.writeConfigs([network]);
    const launcher = node.launcherOf(String(network.ipam.type));
    return { network, launcher, took: [] as number[] };
  });
  for (let i = 0; i < rounds; i++) {
    for (const { network, launcher, took } of i % 2 === 0 ? sides : sides.toReversed()) {
      const config = node.config(network);
      const answer = await launcher.call({ verb: 'ADD', id: `alone-${i}`, config });
      // The first of each makes its folder and, of ours, claims.
      if (i >= 2) took.push(tookOf(answer));
      else tookOf(answer);
    }
  }
  for (const { network, launcher } of sides) {
    for (let i = 0; i < rounds; i++) {
      await launcher.call({ verb: 'DEL', id: `alone-${i}`, config: node.config(network) });
    }
    launcher.kill();
  }
  const [ours, theirs] = sides.map(({ took }) => timesOf(took));
  if (!ours || !theirs) throw new Error('two sides');
  return [ours, theirs];
}

/** An ADD of a network that has no block: its first one, and those after all was given back, which is what an agent does with
 *  a block that has been empty for ten seconds where nothing has to rest. All networks share a space. */
async function claiming({ node }: Runtime, count: number): Promise<Times> {
  const networks = Array.from({ length: claimedAtOnce }, (_, i) =>
    wide(`claim-${i}`, { space: 'claims', cooldown: 0 }),
  );
  node.writeConfigs(networks);
  const launcher = node.launcherOf('cluster-pool');
  const took: number[] = [];
  while (took.length < count) {
    for (const network of networks) {
      const call = { id: 'one', config: node.config(network) };
      took.push(tookOf(await launcher.call({ ...call, verb: 'ADD' })));
      await launcher.call({ ...call, verb: 'DEL' });
    }
    const until = now() + 30;
    while (networks.some((network) => node.blocksOf(network) > 0)) {
      if (now() > until) throw new Error('blocks have not gone back');
      await sleep(0.5);
    }
  }
  launcher.kill();
  return timesOf(took);
}
const claimedAtOnce = 100;

const ahead = 20;

/** All nodes at once, one call at a time on each; what was given is taken back, which is not measured. */
async function crowd(
  runtimes: readonly Runtime[],
  network: RigNetwork,
  adds: number,
): Promise<{ times: Times; perSecond: number; adds: number; again: number }> {
  const launchers = runtimes.map(({ node }) => {
    node.writeConfigs([network]);
    return { launcher: node.launcherOf(String(network.ipam.type)), node };
  });
  const took: number[] = [];
  let left = adds;
  let again = 0;
  const began = now();
  await Promise.all(
    launchers.map(async ({ launcher, node }) => {
      const config = node.config(network);
      let number = 0;
      const one = async () => {
        const call = { verb: 'ADD', id: `${network.name}-${node.name}-${number++}`, config } as const;
        let answer = await launcher.call(call);
        const asked = answer?.began ?? 0;
        // Told to try again later, as a runtime does.
        for (let tries = 1; tries < 20 && answer?.status === 1; tries++) {
          again++;
          answer = await launcher.call(call);
        }
        tookOf(answer);
        took.push(((answer?.ended ?? 0) - asked) * 1000);
      };
      // The launcher has the next ones when it is done with one: it need not wait for this program.
      while (left > 0) {
        const some = Math.min(left, ahead);
        left -= some;
        await Promise.all(Array.from({ length: some }, one));
      }
    }),
  );
  const seconds = now() - began;
  await Promise.all(
    launchers.map(({ launcher, node }) =>
      launcher.call({ verb: 'GC', id: 'gc', config: node.configOfNone(network) }),
    ),
  );
  for (const { launcher } of launchers) launcher.kill();
  return { times: timesOf(took), perSecond: adds / seconds, adds, again };
}
