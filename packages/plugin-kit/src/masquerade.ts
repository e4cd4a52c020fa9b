import type { Cidr } from '@cni-ts/address/cidr';
import type { Netlink } from '@cni-ts/netlink/socket';
import type { Undo } from '@cni-ts/skeleton/undo';

/** Whose rules they are; everything DEL needs follows from it. */
export interface MasqueradeOwner {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

/**
 * Hides the addresses of one attachment behind the host's: what leaves their subnets gets the host's address.
 * `addresses`: the container's, with prefix. `backend`: the config's `ipMasqBackend` as it stands there (undefined or
 * null: chosen); a word that is no backend throws. Repeating it changes nothing. Its undo is added here.
 */
export function addMasquerade(
  _nl: Netlink,
  _owner: MasqueradeOwner,
  _addresses: readonly Cidr[],
  _backend: string | null | undefined,
  _undo: Undo,
): void {
  throw new Error('not written yet');
}

/**
 * Takes the rules of one attachment away, of both backends, whatever the config says. Nothing there is fine.
 * `addresses` are only needed to spare another interface that the same container has on the same network (iptables
 * rules do not name the interface); where they are unknown, leave them out: all rules of the container go.
 */
export function removeMasquerade(_nl: Netlink, _owner: MasqueradeOwner, _addresses?: readonly Cidr[]): void {
  throw new Error('not written yet');
}

/** What is missing or different, in words; empty when everything is as addMasquerade leaves it. */
export function checkMasquerade(
  _nl: Netlink,
  _owner: MasqueradeOwner,
  _addresses: readonly Cidr[],
  _backend: string | null | undefined,
): string[] {
  throw new Error('not written yet');
}

/** Removes the rules of every attachment of `network` that is not among `valid`, of both backends. */
export function gcMasquerade(
  _nl: Netlink,
  _network: string,
  _valid: readonly { readonly containerId: string; readonly ifname: string }[],
): void {
  throw new Error('not written yet');
}
