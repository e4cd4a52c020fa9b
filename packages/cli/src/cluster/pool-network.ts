/** What the configuration of a network says of the cluster's addresses that it gives, as far as the tool works by it. */
import { defaultAgentSocket } from '@cni-ts/cluster/agent-talk';
import { blocksPath, defaultStateFolder } from '@cni-ts/cluster/blocks-file';
import { defaultDataDir } from '@cni-ts/host-local/config';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { tryStat } from '@cni-ts/libc/file-status';
import { memberOf, textMember } from '@cni-ts/skeleton/config-findings';
import { clusterIpam } from '../validate/plugin-types.ts';

export interface PoolNetwork {
  readonly network: string;
  readonly space: string;
  /** Of its reservations. */
  readonly folder: string;
  /** The list of this node's blocks. */
  readonly blocks: string;
  readonly socket: string;
  readonly cooldown: number;
  readonly prefix?: string;
}

/**
 * Undefined for networks of other plugins. A configuration may say `whereabouts` and mean the plugin of that name from
 * elsewhere, which knows no agent: it is ours where one has left something on this node, or `isOurs` says so.
 */
export function poolNetworkOf(
  network: string,
  ipam: unknown,
  isOurs: (type: string) => boolean,
): PoolNetwork | undefined {
  const type = textMember(ipam, 'type');
  if (!clusterIpam.includes(type)) return undefined;
  const folder = `${withoutSlashes(textMember(ipam, 'dataDir') || defaultDataDir)}/${network}`;
  const blocks = blocksPath(withoutSlashes(textMember(ipam, 'stateDir') || defaultStateFolder), network);
  const socket = textMember(ipam, 'agentSocket') || defaultAgentSocket;
  if (type !== 'cluster-pool' && !tryStat(blocks) && !tryStat(socket) && !isOurs(type)) return undefined;
  const cooldown = memberOf(ipam, 'cooldown');
  const prefix = textMember(ipam, 'prefix');
  return {
    network,
    space: textMember(ipam, 'network_name') || 'default',
    folder,
    blocks,
    socket,
    cooldown: typeof cooldown === 'number' ? cooldown : 60,
    ...(prefix !== '' && { prefix }),
  };
}
