/** What the cluster says of an address: space, block, node and owner. The node's own files first, then the agent. */
import { contains, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip } from '@cni-ts/address/ip';
import type { SpacesAnswer } from '@cni-ts/cluster/agent-talk';
import { blockText, isInside, single } from '@cni-ts/cluster/block';
import { rangeOf } from '@cni-ts/ipam-kit/ranges';
import { askAgent, isRefusal, refusalText, shortPatience } from '../cluster/agent.ts';
import { damagedList } from '../cluster/pool-problems.ts';
import { blocksOf, blockWith, isUnconfirmed, type PoolStore, stateText } from '../cluster/pool-store.ts';
import { type AddressStore, networksOf } from '../ipam/stores.ts';
import type { Problem } from '../node/problem.ts';
import type { Sight } from '../node/sight.ts';
import { CannotLookError } from '../verb.ts';
import type { Explanation } from './explanation.ts';

/** What is added to all that is known of the address without the cluster. */
export interface OfCluster {
  readonly facts: readonly string[];
  readonly problems: readonly Problem[];
  readonly unknown: readonly string[];
}

const nothing: OfCluster = { facts: [], problems: [], unknown: [] };

/** Of an address that is in the ranges of a network of this node, whoever has it. `isOurs`: somebody here has it. */
export function clusterOf(sight: Sight, ip: Ip, isOurs: boolean): OfCluster {
  const pools = poolsOf(sight).filter(({ sets }) => sets.some((set) => rangeOf(set, ip)));
  const told = pools.map((one) => inPool(one.pool, ip, isOurs));
  if (told.length === 0) return nothing;
  return {
    facts: unique(told.flatMap(({ facts }) => facts)),
    problems: told.flatMap(({ problems }) => problems),
    unknown: unique(told.flatMap(({ unknown }) => unknown)),
  };
}

function poolsOf({ call, attached }: Sight): (AddressStore & { readonly pool: PoolStore })[] {
  const cached = attached.map((one) => one.cached);
  try {
    return networksOf({ ...call, note: () => undefined }, cached).flatMap(({ stores }) =>
      stores.flatMap((one) => (one.pool ? [{ ...one, pool: one.pool }] : [])),
    );
  } catch (error) {
    if (error instanceof CannotLookError) return []; // no folder of configurations: nothing of a cluster is known here
    throw error;
  }
}

function inPool(pool: PoolStore, ip: Ip, isOurs: boolean): OfCluster {
  const block = blockWith(pool, formatIp(ip));
  if (!block) return askedOf(pool, ip, isOurs);
  const text = blockText(block);
  const facts = [
    `in block ${text} of space ${block.space}, network ${pool.network}: ${stateText(block)} by this node (${pool.blocks})`,
  ];
  const problems: Problem[] = [];
  if (block.state === 'lost') {
    const message = `block ${text} is lost: another node may give ${formatIp(ip)} too`;
    problems.push({ code: 'CNI2042', message, cure: 'restart the container' });
  }
  const unknown = isUnconfirmed(pool)
    ? [`whether block ${text} is still ours: it is not confirmed since this boot`]
    : [];
  return { facts, problems, unknown };
}

/** Not in a block of this node: whose it is only etcd knows. */
function askedOf(pool: PoolStore, ip: Ip, isOurs: boolean): OfCluster {
  const text = formatIp(ip);
  const problems: Problem[] = isOurs
    ? [
        {
          code: 'CNI2046',
          message: `${text} is in no block of this node: another node may give it too`,
          cure: 'restart the container',
        },
      ]
    : [];
  const { socket, space, network } = pool;
  const answer = askAgent<SpacesAnswer>(socket, { ask: 'spaces', space, network }, shortPatience);
  if (isRefusal(answer))
    return { facts: [], problems, unknown: [`which node has it: ${refusalText(answer)}`] };
  const found = answer.spaces
    .filter((one) => one.space === space)
    .flatMap(({ blocks }) => blocks)
    .find(({ block }) => {
      const cidr = parseCidr(block);
      return cidr !== undefined && contains(cidr, ip);
    });
  if (!found) {
    const facts = [`of network ${network}, in space ${space}, of which no node holds the block: free`];
    return { facts, problems, unknown: [] };
  }
  const { block, node, owner } = found;
  const whose = owner === undefined ? '' : `, kept for ${owner}`;
  const at = node === '' ? 'of no node now' : `of node ${node}`;
  const ask =
    node === ''
      ? []
      : [`not this node's: which container has it node ${node} knows: cnitool explain ${text}, there`];
  return { facts: [`in block ${block} of space ${space}, ${at}${whose}`, ...ask], problems, unknown: [] };
}

/** The list of blocks that the agent keeps. */
export function explainBlocks(sight: Sight, path: string): Explanation | undefined {
  const pools = poolsOf(sight).filter(({ pool }) => pool.blocks === path);
  const [first] = pools;
  if (!first) return undefined;
  const { pool } = first;
  const addresses = sight.reservations.filter(({ path: at }) => at.startsWith(`${pool.folder}/`));
  const attached = sight.attached.filter(({ network }) => network === pool.network);
  const problems = pool.damaged === undefined ? [] : [damagedList(pool.damaged)];
  const facts = blocksOf(pool).map((one) => {
    const used = addresses.filter(({ ip }) => isInside(one, single(ip))).length;
    return `block ${blockText(one)} ${stateText(one)}: ${used} used`;
  });
  return {
    kind: 'list of blocks',
    title: `blocks of network ${pool.network}, space ${pool.space}, that this node has of the cluster's addresses; cluster-agent writes them`,
    attached,
    facts,
    problems,
    unknown: isUnconfirmed(pool)
      ? ['whether they are still ours: the agent has not confirmed them since this boot']
      : [],
  };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
