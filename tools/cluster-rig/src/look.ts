/** Looks at etcd's keys and at the nodes' folders. */
import type { LedgerKey, LookEvent } from './history.ts';
import type { Members } from './members.ts';
import type { Runtime } from './runtime.ts';
import { now } from './stage.ts';
import { say, type World } from './world.ts';

export const prefix = '/cni/v1/';

/** All blocks, and all fixed and sticky addresses, at one revision. */
export async function ledgerKeys({ gateway }: Members): Promise<LedgerKey[]> {
  const found = await gateway.list(`${prefix}space/`);
  return found.flatMap(({ key, value }) => {
    const parts = /^space\/([^/]+)\/(?:block|pin)\/(.+)$/.exec(key.slice(prefix.length));
    if (!parts) return [];
    const [, space = '', block = ''] = parts;
    const { node = '', network = '' } = JSON.parse(value) as { node?: string; network?: string }; // reason: an Entry's value
    return [{ space, key: block, node, network }];
  });
}

/** Writes a look down. `collected`: GC with what lives has just been, and nothing since. */
export async function look(world: World, collected: boolean, quietFor = 0): Promise<LookEvent> {
  const stores = world.runtimes
    .filter(({ node }) => node.isOn)
    .flatMap((runtime) =>
      world.networks.map((network) => ({
        ...runtime.node.store(network),
        ...(collected && { live: runtime.liveOf(network) }),
      })),
    );
  const keys = await ledgerKeys(world.members);
  const event = { kind: 'look', at: now(), keys, stores, quietFor } as const;
  world.recorder.add(event);
  return event;
}

/** Waits until all is well, collects on all nodes, looks, and tries an ADD on each node and network: nobody may be stuck. The
 *  load must be paused. */
export async function takeStock(world: World): Promise<void> {
  const on = world.runtimes.filter(({ node }) => node.isOn);
  for (const { node } of on) {
    await node.waitUntilWell(90).catch((error: Error) => void world.complaints.push(error.message));
  }
  await look(world, false);
  await Promise.all(on.map((runtime) => collectAll(world, runtime)));
  const { keys } = await look(world, true);
  await Promise.all(on.map((runtime) => tryOne(world, runtime)));
  say(`${keys.length} blocks, ${on.reduce((sum, { live }) => sum + live.size, 0)} attachments`);
}

export async function collectAll(world: World, runtime: Runtime): Promise<void> {
  for (const network of world.networks) await runtime.collect(0, network);
}

async function tryOne(world: World, runtime: Runtime): Promise<void> {
  for (const network of world.networks) {
    const { id, error } = await runtime.add(0, network);
    if (error !== undefined && !isExhausted(error)) {
      world.complaints.push(
        `after all was healed ADD on ${runtime.node.name} to ${network.name} fails: ${error}`,
      );
    }
    await runtime.del(0, id, network);
  }
}

/** Whether the sentence says that the whole space has no address left: with few addresses that is right. */
function isExhausted(error: string): boolean {
  return /no (free )?(address|block)|no block is free/i.test(error);
}
