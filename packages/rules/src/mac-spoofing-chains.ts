import { type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';
import type { ChainNames } from './own-chain.ts';

/** What the names of all chains of the spoof check start with, as the reference has them. */
export const macSpoofingPrefix = 'cni-br-iface-';

/**
 * The chain of an attachment: the reference's name, or where container and interface run together to the same as
 * another attachment's, or another network has the name, one that follows from all three.
 */
export function macSpoofingChains(owner: Owner): ChainNames {
  return {
    usual: `${macSpoofingPrefix}${owner.containerId}-${owner.ifname}`,
    spare: macSpoofingPrefix + ownerMark(owner),
  };
}
