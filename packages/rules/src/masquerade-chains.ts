import { hashedName } from '@cni-ts/libc/name-hash';
import type { NamedOwner } from './iptables-owner.ts';
import type { ChainNames } from './own-chain.ts';

/** A container's chain in the nat table of iptables, named as the reference does. */
export function masqueradeChain(network: string, containerId: string): string {
  return hashedName(28, 'CNI-', network + containerId);
}

export function masqueradeChains({ network, containerId }: NamedOwner): ChainNames {
  return {
    usual: masqueradeChain(network, containerId),
    spare: hashedName(28, 'CNI-', `${network}/${containerId}`),
  };
}
