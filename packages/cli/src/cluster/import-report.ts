/** What `cnitool ipam import` tells. */
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import { many } from '../many.ts';
import type { Sorted, Taken } from './import.ts';
import type { Export } from './whereabouts-export.ts';

const unreadable: FindingCode = 'CNI2048';
const notTaken: FindingCode = 'CNI2049';

export interface ImportReport extends Sorted, Taken {
  readonly read: Export;
  readonly done: boolean;
}

export function importText({ read, done, taken, refused, left, elsewhere }: ImportReport): string {
  const verb = done ? 'took over' : 'would take over';
  const lines = [
    ...taken.map(
      ({ address, at, podRef }) =>
        `${verb} ${address} of container ${at.containerId}, interface ${at.ifname}, network ${at.network}${podRef === '' ? '' : ` (pod ${podRef})`}`,
    ),
    ...refused.map(
      ({ address, containerId, why }) => `✗ ${notTaken} ${address} of container ${containerId}: ${why}`,
    ),
    ...left.map(
      ({ address, containerId, why, isGone }) =>
        `${isGone ? ' ' : `✗ ${notTaken}`} ${address} of container ${containerId} is left: ${why}`,
    ),
    ...read.damaged.map((one) => `✗ ${unreadable} ${one}`),
    ...[...read.passedOver].map(
      ([kind, count]) => `${count} ${kind} passed over: pools alone say who has which address`,
    ),
    `${many(read.pools, 'pool')}: ${taken.length} ${done ? 'taken over' : 'to take over'}, ${refused.length} refused, ${left.length} left, ${read.damaged.length} damaged`,
  ];
  if (elsewhere.length > 0) {
    lines.push(
      `${many(elsewhere.length, 'allocation')} of containers that this node does not know: import on each node before the first new container, where the runtime's cache is (CNI_CACHE_DIR)`,
    );
  }
  if (!done && taken.length > 0) lines.push('nothing was done: --yes does it');
  return lines.map((line) => `${line}\n`).join('');
}

/** As the schema cnitool-ipam-import.json says. */
export function importJson({ read, done, taken, refused, left, elsewhere }: ImportReport): object {
  return {
    done,
    pools: read.pools,
    taken: taken.map(({ address, pool, podRef, at }) => ({
      address,
      pool,
      network: at.network,
      containerId: at.containerId,
      ifname: at.ifname,
      ...(podRef !== '' && { podRef }),
    })),
    refused,
    left,
    elsewhere: elsewhere.map(({ address, pool, containerId, podRef }) => ({
      address,
      pool,
      containerId,
      ...(podRef !== '' && { podRef }),
    })),
    damaged: read.damaged,
    passedOver: Object.fromEntries(read.passedOver),
  };
}
