/** STATUS: whether ADD could serve, and whether containers have addresses that others may get. */
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { blockText } from '@cni-ts/cluster/block';
import { type BlocksFile, readBlocks } from '@cni-ts/cluster/blocks-file';
import { Folder } from '@cni-ts/ipam-kit/folder-store';
import { available } from '@cni-ts/ipam-kit/ipam-plugin';
import { describe, walk } from '@cni-ts/ipam-kit/ranges';
import { holderText, type Store } from '@cni-ts/ipam-kit/store';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { AgentCalls } from './agent-calls.ts';
import type { Config } from './config.ts';
import { blockAround, isConfirmed, openBlocks } from './node-blocks.ts';
import { type PoolRange, segmentsOf } from './pool-range.ts';
import { RestingQueue } from './resting-queue.ts';

/** Throws CniError 51 for containers on a block that is lost, and 50 for what would keep ADD from working. */
export function status(config: Config): void {
  const store = new Folder(config.network.folder, undefined).peek();
  const agent = new AgentCalls(config);
  const file = available('the list of blocks cannot be used', () => readBlocks(config.blocksPath));
  if (file) refuseLost(config, file, store);
  const said = available('no new addresses', () => agent.status());
  if (said.trouble.length > 0) {
    throw new CniError(
      ErrorCode.pluginNotAvailable,
      `cluster-agent of node ${said.node}: ${said.trouble[0]}`,
      said.trouble.slice(1).join('; '),
    );
  }
  if (file && !isConfirmed(file)) {
    available("this node's blocks have not been confirmed since the node was booted", () => agent.confirm());
  }
  const blocks =
    available('the list of blocks cannot be used', () => readBlocks(config.blocksPath))?.blocks ?? [];
  const queue = RestingQueue.of(config.network.folder, config.network.cooldown, true);
  for (const range of config.ranges) {
    const segments = segmentsOf(range, openBlocks(blocks, config.network.space));
    if (hasFree(segments, store, queue)) continue;
    // ADD would ask for it as well; one that nobody uses goes back.
    available(`no address of ${describe(range.set)} is free`, () => agent.block(range));
  }
}

function hasFree(segments: PoolRange['set'], store: Store, queue: RestingQueue): boolean {
  const free = (name: string) => store.isFree(name);
  if (walk(segments, undefined, ({ ip }) => free(formatIp(ip)) && !queue.has(formatIp(ip)))) return true;
  return queue.rested((name) => segments.length > 0 && free(name)) !== undefined;
}

function refuseLost(config: Config, { blocks }: BlocksFile, store: Store): void {
  if (!blocks.some(({ state }) => state === 'lost')) return;
  const stories: string[] = [];
  const lost = new Set<string>();
  for (const [name, holder] of store.all()) {
    const ip = parseIp(name);
    const block = ip && blockAround(blocks, config.network.space, ip);
    if (block?.state !== 'lost') continue;
    lost.add(blockText(block));
    stories.push(`${name} of ${holderText(holder)}`);
  }
  if (stories.length === 0) return;
  throw new CniError(
    ErrorCode.limitedConnectivity,
    `another node may give away what lies in ${[...lost].join(', ')}: this node has lost it, and containers live there`,
    `start these anew, or delete them: ${stories.join('; ')}`,
  );
}
