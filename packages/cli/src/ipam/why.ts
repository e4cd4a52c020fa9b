/** `cnitool ipam why ADDRESS`: who has it, since when, why that is so, or why nobody has. */
import { formatCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { blockText } from '@cni-ts/cluster/block';
import { rangeOf } from '@cni-ts/ipam-kit/ranges';
import { blockWith, type PoolStore, stateText } from '../cluster/pool-store.ts';
import { rangeText, type Survey, timeText, whose } from './survey.ts';

export interface Reason {
  readonly network: string;
  readonly text: string;
  /** Held by nobody that lives. */
  readonly isStale: boolean;
  readonly cure?: string;
}

export function reasonsOf(ip: Ip, { networks }: Survey): Reason[] {
  const address = formatIp(ip);
  const found: Reason[] = [];
  for (const { network, stores, leases } of networks) {
    const { name } = network;
    for (const { store, holders, odd } of stores) {
      const set = store.sets.find((one) => rangeOf(one, ip));
      const where = set ? `in range ${rangeText(set)}` : 'outside of its ranges';
      for (const { standing, since, path, ...of } of holders.filter((one) => one.address === address)) {
        const isStale = standing.stale !== undefined;
        found.push({
          network: name,
          text: `held by ${whose(of)} since ${timeText(since)}, ${where}: ${standing.why} (${path})`,
          isStale,
          ...(isStale && { cure: `cnitool gc ${name} --stale --yes` }),
        });
      }
      for (const { why, path } of odd.filter((one) => one.address === address)) {
        found.push({ network: name, text: `${path} keeps it from being given: ${why}`, isStale: false });
      }
      const isHeld = found.some(({ network: of }) => of === name);
      const range = set && rangeOf(set, ip);
      if (!isHeld && range) {
        const isGateway = equalIp(range.gateway, ip);
        const pool = store.pool && !isGateway ? freeInPool(store.pool, address) : undefined;
        const text = isGateway
          ? `the gateway of ${formatCidr(range.subnet)}, which is given to nobody`
          : (pool ?? `free, ${where}; a released address is given again after a full turn`);
        found.push({ network: name, text, isStale: false });
      }
    }
    for (const lease of leases.filter((one) => one.address === address)) {
      found.push({ network: name, text: `leased by dhcp for ${whose(lease)}`, isStale: false });
    }
  }
  return found;
}

function freeInPool(pool: PoolStore, address: string): string {
  const block = blockWith(pool, address);
  if (block === undefined) {
    return `in no block of this node: another may have it (cnitool explain ${address} asks the cluster)`;
  }
  if (block.owner !== undefined) return `kept for ${block.owner}`;
  const rests = block.state === 'held' ? '; a released address rests before it is given again' : '';
  return `free, in block ${blockText(block)} of space ${block.space}, which is ${stateText(block)}${rests}`;
}
