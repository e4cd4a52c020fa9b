/** A network's share of the cluster's addresses on this node: the blocks that its agent has borrowed, and what is in them. */
import { compareIp, parseIp } from '@cni-ts/address/ip';
import { type Block, isInside, single } from '@cni-ts/cluster/block';
import { type BlocksFile, type HeldBlock, readBlocks } from '@cni-ts/cluster/blocks-file';
import { blockAround, isConfirmed } from '@cni-ts/cluster-pool/node-blocks';
import { type PoolRange, segmentsOf } from '@cni-ts/cluster-pool/pool-range';
import { sizeOf } from '@cni-ts/ipam-kit/ranges';
import { errorText } from '@cni-ts/spec/cni-error';
import type { PoolNetwork } from './pool-network.ts';

export interface PoolStore extends PoolNetwork {
  /** Undefined where the agent has written none, or none that can be read. */
  readonly file: BlocksFile | undefined;
  /** Why it cannot be read. */
  readonly damaged?: string;
}

export function poolStoreOf(pool: PoolNetwork): PoolStore {
  try {
    return { ...pool, file: readBlocks(pool.blocks) };
  } catch (error) {
    return { ...pool, file: undefined, damaged: errorText(error) };
  }
}

/** By address, largest first: a pin is among them, as a block of one address. */
export function blocksOf({ file }: PoolStore): readonly HeldBlock[] {
  return (file?.blocks ?? []).toSorted((a, b) => compareIp(a.first, b.first) || a.length - b.length);
}

/** As the plugin's CHECK looks for it. */
export function blockWith(pool: PoolStore, address: string): HeldBlock | undefined {
  const ip = parseIp(address);
  return ip && pool.file && blockAround(pool.file.blocks, pool.space, ip);
}

/** How many addresses of a block the ranges can give. */
export function roomIn(block: Block, ranges: readonly PoolRange[]): number {
  let room = 0n;
  for (const one of ranges) room += sizeOf(segmentsOf(one, [block]));
  return Number(room);
}

/** What a range can give here: how many addresses, of how many blocks. */
export function roomHere({ file }: PoolStore, range: PoolRange): { usable: number; blocks: number } {
  const here = { usable: 0, blocks: 0 };
  for (const one of file?.blocks ?? []) {
    const room = one.state === 'held' ? roomIn(one, [range]) : 0;
    here.usable += room;
    if (room > 0) here.blocks++;
  }
  return here;
}

/** Whether the list is of another boot than this one: the agent confirms it before an address is given. */
export function isUnconfirmed({ file }: PoolStore): boolean {
  return file !== undefined && !isConfirmed(file);
}

export function addressesIn(block: Block, addresses: readonly string[]): string[] {
  return addresses.filter((one) => {
    const ip = parseIp(one);
    return ip && isInside(block, single(ip));
  });
}

export function stateText({ state, owner }: HeldBlock): string {
  const whose = owner === undefined ? '' : `, of ${owner}`;
  switch (state) {
    case 'held':
      return `held${whose}`;
    case 'draining':
      return `going back to the cluster when it is empty${whose}`;
    case 'lost':
      return `lost: etcd has it no more as this node's${whose}`;
  }
}
