/** What the configuration of a network says of the cluster's addresses that it gives, as the plugin reads it. */
import { defaultAgentSocket, type NetworkQuestion } from '@cni-ts/cluster/agent-talk';
import { blocksPath, defaultStateFolder } from '@cni-ts/cluster/blocks-file';
import { type Config, parse, schema } from '@cni-ts/cluster-pool/config';
import type { PoolRange } from '@cni-ts/cluster-pool/pool-range';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { defaultDataDir, reservationsFolder } from '@cni-ts/ipam-kit/data-dir';
import { tryStat } from '@cni-ts/libc/file-status';
import { readConfigOf } from '@cni-ts/skeleton/config';
import { objectMember, textMember } from '@cni-ts/skeleton/config-findings';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Json } from '../validate/document.ts';
import { clusterIpam } from '../validate/plugin-types.ts';

export interface PoolNetwork {
  readonly network: string;
  readonly space: string;
  /** Of its reservations. */
  readonly folder: string;
  /** The list of this node's blocks. */
  readonly blocks: string;
  readonly socket: string;
  readonly ranges: readonly PoolRange[];
  /** What each question to the agent says of the network. Undefined where ADD refuses the configuration. */
  readonly asking: NetworkQuestion | undefined;
  /** Why ADD refuses the configuration. */
  readonly unknown?: string;
}

interface Named {
  readonly name: string;
  readonly cniVersion: string;
}

/**
 * Undefined for networks of other plugins. A configuration may say `whereabouts` and mean the plugin of that name from
 * elsewhere, which knows no agent: it is ours where one has left something on this node, or `isOurs` says so.
 */
export function poolNetworkOf(
  { name, cniVersion }: Named,
  json: Json,
  isOurs: (type: string) => boolean,
): PoolNetwork | undefined {
  const ipam = objectMember(json, 'ipam');
  const type = textMember(ipam, 'type');
  if (!clusterIpam.includes(type)) return undefined;
  const found = readPool({ name, cniVersion }, json);
  if (type === 'cluster-pool' || tryStat(found.blocks) || tryStat(found.socket) || isOurs(type)) return found;
  return undefined;
}

function readPool({ name: network, cniVersion }: Named, json: Json): PoolNetwork {
  try {
    const folder = reservationsFolder({ json, network });
    const {
      network: asking,
      blocksPath: blocks,
      agentSocket: socket,
      ranges,
    } = poolConfig(network, cniVersion, json);
    return { network, folder, blocks, socket, ranges, asking, space: asking.space };
  } catch (error) {
    // What is on the disk is told all the same.
    const ipam = objectMember(json, 'ipam');
    return {
      network,
      folder: `${pathOr(ipam, 'dataDir', defaultDataDir)}/${network}`,
      blocks: blocksPath(pathOr(ipam, 'stateDir', defaultStateFolder), network),
      socket: pathOr(ipam, 'agentSocket', defaultAgentSocket),
      space: textMember(ipam, 'network_name') || 'default',
      ranges: [],
      asking: undefined,
      unknown: errorText(error),
    };
  }
}

/** Where it says a path that can be one. */
function pathOr(ipam: Json | undefined, member: string, otherwise: string): string {
  const said = withoutSlashes(textMember(ipam, member));
  return said === '' || said.includes('\0') ? otherwise : said;
}

/** As ADD reads it, for no pod. Throws what ADD would. */
export function poolConfig(network: string, cniVersion: string, json: Json): Config {
  const raw = readConfigOf('cluster-pool', schema, { ...json, cniVersion });
  return parse(raw, { json, network, cniVersion, args: '', ifname: '' });
}
