/** The blocks of a network on this node, as `cnitool ipam show` tells them. */
import { blockText } from '@cni-ts/cluster/block';
import type { StoreView } from '../ipam/survey.ts';
import { addressesIn, blocksOf, isUnconfirmed, type PoolStore, roomIn, stateText } from './pool-store.ts';

export function blockLines({ store: { pool }, holders }: StoreView): string[] {
  if (!pool) return [];
  const own = `  space ${pool.space}: `;
  if (pool.damaged !== undefined) return [`✗ ${pool.damaged}`];
  if (!pool.file) return [`${own}the agent has borrowed no block yet: there is no ${pool.blocks}`];
  const addresses = holders.map(({ address }) => address);
  const lines = blocksOf(pool).map((one) => {
    const used = addressesIn(one, addresses).length;
    const room = roomIn(one, pool.ranges);
    return `${one.state === 'lost' ? '✗' : ' '} block ${blockText(one)} ${stateText(one)}: ${used} of ${room} used`;
  });
  const boot = isUnconfirmed(pool) ? ', and not confirmed since this boot' : '';
  return [`${own}${lines.length === 0 ? 'no block' : `blocks of node ${pool.file.node}`}${boot}`, ...lines];
}

export function poolJson({ holders }: StoreView, pool: PoolStore): object {
  const addresses = holders.map(({ address }) => address);
  return {
    space: pool.space,
    file: pool.blocks,
    ...(pool.damaged !== undefined && { damaged: pool.damaged }),
    ...(pool.file && { node: pool.file.node, confirmed: !isUnconfirmed(pool) }),
    blocks: blocksOf(pool).map((one) => ({
      block: blockText(one),
      state: one.state,
      ...(one.owner !== undefined && { owner: one.owner }),
      used: addressesIn(one, addresses).length,
      usable: roomIn(one, pool.ranges),
    })),
  };
}
