/** Where reservations are kept on the disk: host-local's folders, which cluster-pool has as well. */
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { configText, withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest } from '@cni-ts/skeleton/plugin';

export const defaultDataDir = '/var/lib/cni/networks';

/** Indexes lie under /run: they are worth nothing after a boot, and outside of every directory of reservations. A directory
 *  has one, whichever plugin is there. */
export const indexFolder = '/run/cni-ts/host-local';

/** The network's own, by `ipam.dataDir`. DEL and GC need nothing else of the configuration, and what keeps ADD from working
 *  (ranges that overlap, a bad CNI_ARGS) must not keep an address reserved for ever. */
export function reservationsFolder({ json, network }: Pick<RawRequest, 'json' | 'network'>): string {
  const dataDir = withoutNul(configText(json, 'ipam', 'dataDir'), 'ipam.dataDir') || defaultDataDir;
  return `${withoutSlashes(dataDir)}/${network}`;
}
