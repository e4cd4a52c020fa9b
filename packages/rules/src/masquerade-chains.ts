import { hashedName } from '@cni-ts/libc/name-hash';
import type { NamedOwner } from './iptables-owner.ts';

/** A container's chain in the nat table of iptables, named as the reference does. */
export function masqueradeChain(network: string, containerId: string): string {
  return hashedName(28, 'CNI-', network + containerId);
}

/** The chain where another container's names run together to the same text and have taken the usual name. */
export function spareMasqueradeChain(network: string, containerId: string): string {
  return hashedName(28, 'CNI-', `${network}/${containerId}`);
}

/** Both. */
export function masqueradeChains({ network, containerId }: NamedOwner): string[] {
  return [masqueradeChain(network, containerId), spareMasqueradeChain(network, containerId)];
}
