/** What the dhcp daemon of ours keeps on disk. The reference's keeps its leases to itself. */
import { readRegular } from '@cni-ts/libc/file';
import { namesIn } from '@cni-ts/libc/folder';
import type { Environment } from '@cni-ts/libcni/environment';
import { isJsonObject, parseJson } from '@cni-ts/libcni/json';
import { cacheDir } from '@cni-ts/spec/cache-dir';

export interface Lease {
  readonly address: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
}

/** The daemon's `statedir`, where it is not told another: beside the cache. */
export function dhcpFolder(env: Environment): string {
  return `${cacheDir(env)}/dhcp`;
}

/** Those of one network. What cannot be read is passed over: the daemon says it. */
export function leasesOf(folder: string, network: string): Lease[] {
  return namesIn(folder)
    .filter((name) => name.endsWith('.lease'))
    .flatMap((name) => recordIn(`${folder}/${name}`, network));
}

function recordIn(path: string, network: string): Lease[] {
  let json: unknown;
  try {
    json = parseJson(readRegular(path));
  } catch {
    return []; // ended meanwhile, or damaged
  }
  if (!isJsonObject(json) || json.network !== network) return [];
  const { containerId, ifname, netns, client4, client6 } = json;
  if (typeof containerId !== 'string' || typeof ifname !== 'string' || typeof netns !== 'string') return [];
  return [client4, client6].flatMap((client) => {
    if (!isJsonObject(client) || !isJsonObject(client.lease)) return [];
    const { address } = client.lease;
    return typeof address === 'string' ? [{ address, containerId, ifname, netns }] : [];
  });
}
