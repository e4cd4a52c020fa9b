/** A network's share of the cluster's addresses on this node: the blocks that its agent has borrowed, and what is in them. */
import { formatCidr } from '@cni-ts/address/cidr';
import { compareIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { isInside, lastOfBlock } from '@cni-ts/cluster/block';
import { type BlocksFile, type HeldBlock, readBlocks } from '@cni-ts/cluster/blocks-file';
import type { RangeSet } from '@cni-ts/ipam-kit/ranges';
import { readText } from '@cni-ts/libc/file';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Json } from '../validate/document.ts';
import type { PoolNetwork } from './pool-network.ts';
import { type PoolRange, poolRanges, roomBetween } from './pool-ranges.ts';

export interface PoolStore extends PoolNetwork {
  readonly ranges: readonly PoolRange[];
  /** Undefined where the agent has written none, or none that can be read. */
  readonly file: BlocksFile | undefined;
  /** Why it cannot be read. */
  readonly damaged?: string;
}

export function poolStoreOf(pool: PoolNetwork, ipam: Json): PoolStore {
  const ranges = poolRanges(ipam);
  try {
    return { ...pool, ranges, file: readBlocks(pool.blocks) };
  } catch (error) {
    return { ...pool, ranges, file: undefined, damaged: errorText(error) };
  }
}

/** As the ranges of host-local, one set for each: a gateway that is not told is an address of the other family. */
export function setsOf(ranges: readonly PoolRange[]): RangeSet[] {
  return ranges.map(({ subnet, start, end, gateway }) => [
    { subnet, start, end, gateway: gateway ?? none[subnet.ip.family] },
  ]);
}

const none: Readonly<Record<4 | 6, Ip>> = {
  4: { family: 6, bytes: new Uint8Array(16) },
  6: { family: 4, bytes: new Uint8Array(4) },
};

/** Largest first, then by address: a pin is among them, as a block of one address. */
export function blocksOf({ file }: PoolStore): readonly HeldBlock[] {
  return (file?.blocks ?? []).toSorted((a, b) => compareIp(a.first, b.first) || a.length - b.length);
}

export function blockWith(pool: PoolStore, address: string): HeldBlock | undefined {
  const ip = parseIp(address);
  return ip && blocksOf(pool).find((one) => isInside(one, addressBlock(ip)));
}

function addressBlock(first: Ip) {
  return { first, length: first.bytes.length * 8 };
}

export function blockText({ first, length }: Pick<HeldBlock, 'first' | 'length'>): string {
  return formatCidr({ ip: first, prefix: length });
}

/** How many addresses of a block the ranges can give. */
export function roomIn(block: Pick<HeldBlock, 'first' | 'length'>, ranges: readonly PoolRange[]): number {
  return Number(roomBetween(block.first, lastOfBlock(block), ranges));
}

/** Of those from which addresses are taken. */
export function roomHere(pool: PoolStore, ranges: readonly PoolRange[] = pool.ranges): number {
  let room = 0;
  for (const one of blocksOf(pool)) if (one.state === 'held') room += roomIn(one, ranges);
  return room;
}

/** Whether the list is of another boot than this one: the agent confirms it before an address is given. */
export function isUnconfirmed({ file }: PoolStore): boolean {
  return file !== undefined && file.boot !== readText('/proc/sys/kernel/random/boot_id').trim();
}

export function addressesIn(
  block: Pick<HeldBlock, 'first' | 'length'>,
  addresses: readonly string[],
): string[] {
  return addresses.filter((one) => {
    const ip = parseIp(one);
    return ip && isInside(block, addressBlock(ip));
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
