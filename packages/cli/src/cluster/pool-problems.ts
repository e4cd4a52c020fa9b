/** What is wrong with a network's blocks on this node, by the node's own files: no agent is asked. */
import { blockText } from '@cni-ts/cluster/block';
import type { FindingCode, FindingLevel } from '@cni-ts/spec/finding-codes';
import type { StoreView } from '../ipam/survey.ts';
import type { Problem } from '../node/problem.ts';
import { blocksOf, blockWith, isUnconfirmed } from './pool-store.ts';

export interface PoolProblem extends Problem {
  readonly level: FindingLevel;
  readonly address?: string;
}

/** Codes that only these problems have. */
export const poolCodes: readonly FindingCode[] = ['CNI2042', 'CNI2043', 'CNI2044', 'CNI2046'];

export function poolProblems({ store: { pool }, holders }: StoreView): PoolProblem[] {
  if (!pool) return [];
  if (pool.damaged !== undefined) {
    return [{ ...damagedList(pool.damaged), level: 'error' }];
  }
  const found: PoolProblem[] = [];
  if (isUnconfirmed(pool)) {
    found.push({
      code: 'CNI2043',
      level: 'warning',
      message: `${pool.blocks} is from before this boot, and the agent has not confirmed its blocks yet`,
      cure: 'systemctl start cluster-agent; it needs etcd for this',
    });
  }
  const placed = holders.map((one) => ({ one, block: blockWith(pool, one.address) }));
  for (const one of blocksOf(pool)) {
    if (one.state !== 'lost') continue;
    const names = placed.flatMap(({ one: holder, block }) => (block === one ? [nameOf(holder)] : []));
    const lost = `block ${blockText(one)} of space ${one.space} is lost: another node may give its addresses`;
    found.push({
      code: 'CNI2042',
      level: 'error',
      message:
        names.length === 0 ? `${lost}; no container has one of them here` : `${lost}; here ${some(names)}`,
      cure: names.length === 0 ? 'none is needed: the agent drops it' : 'restart these containers',
    });
  }
  for (const { one, block } of placed) {
    // One that is gone has its own cure.
    if (one.standing.stale !== undefined || block) continue;
    found.push({
      code: 'CNI2046',
      level: 'error',
      address: one.address,
      message: `container ${nameOf(one)} holds it, and it is in no block of this node: another node may give it too`,
      cure: 'restart the container',
    });
  }
  return found;
}

export function damagedList(message: string): Problem {
  return { code: 'CNI2044', message, cure: 'systemctl restart cluster-agent: it writes the list anew' };
}

function nameOf({ containerId, ifname, address }: StoreView['holders'][number]): string {
  return `${containerId}${ifname === undefined ? '' : `/${ifname}`} (${address})`;
}

function some(names: readonly string[]): string {
  const rest = names.length - most;
  return `${names.slice(0, most).join(', ')}${rest > 0 ? ` and ${rest} more have them` : names.length === 1 ? ' has one' : ' have them'}`;
}

const most = 20;
