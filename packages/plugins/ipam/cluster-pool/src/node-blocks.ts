/** What this node's agent has written down of its blocks, and what of it a network may take from. */
import { type Ip, parseIp } from '@cni-ts/address/ip';
import { blockText, isInside, single } from '@cni-ts/cluster/block';
import { type BlocksFile, type HeldBlock, readBlocks } from '@cni-ts/cluster/blocks-file';
import { readText } from '@cni-ts/libc/file';
import type { Config } from './config.ts';

/** Whether the agent has looked at them in etcd since this boot. */
export function isConfirmed({ boot }: Pick<BlocksFile, 'boot'>): boolean {
  return boot === readText('/proc/sys/kernel/random/boot_id').trim();
}

/** Blocks to give addresses of: pins are their owners'. */
export function openBlocks(blocks: readonly HeldBlock[], space: string): HeldBlock[] {
  const open: HeldBlock[] = [];
  for (const one of blocks) if (isOpen(one, space)) open.push(one);
  return open;
}

/** Whether addresses of it may be given to anybody. */
export function isOpen(block: HeldBlock, space: string): boolean {
  return block.state === 'held' && block.owner === undefined && block.space === space;
}

/** The block of the space in which the address lies; of several the one that is not lost. */
export function blockAround(blocks: readonly HeldBlock[], space: string, ip: Ip): HeldBlock | undefined {
  const one = single(ip);
  const around = blocks.filter((block) => block.space === space && isInside(block, one));
  return around.find(({ state }) => state !== 'lost') ?? around[0];
}

/** Why an address that is reserved here is another node's to give; undefined where it is this node's. */
export function lostAddresses({ blocksPath, network }: Config): (name: string) => string | undefined {
  const file = readBlocks(blocksPath);
  return (name) => {
    if (file === undefined)
      return `${name}: the list of this node's blocks ${blocksPath} is gone; restart cluster-agent`;
    const ip = parseIp(name);
    const block = ip && blockAround(file.blocks, network.space, ip);
    if (block === undefined) {
      return `${name} lies in no block of this node (${blocksPath}): another node may give it away; start the container anew`;
    }
    if (block.state !== 'lost') return undefined;
    return `${name} lies in ${blockText(block)}, which is this node's no more: another node may give it away; start the container anew`;
  };
}
