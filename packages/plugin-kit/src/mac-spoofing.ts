import type { Netlink } from '@cni-ts/netlink/socket';
import type { Undo } from '@cni-ts/skeleton/undo';

/** Whose rules they are; DEL needs no more. */
export interface MacSpoofingOwner {
  readonly containerId: string;
  readonly ifname: string;
}

/**
 * Drops frames that come in by the host end of the container's pair with another source than the container's `mac`.
 * One transaction; repeating it changes nothing. Its undo is added here.
 */
export function addMacSpoofing(
  _nl: Netlink,
  _owner: MacSpoofingOwner,
  _hostLink: string,
  _mac: Uint8Array,
  _undo: Undo,
): void {
  throw new Error('not written yet');
}

/** Takes the rules and chains of one attachment away; nothing there is fine. The shared table and PREROUTING stay. */
export function removeMacSpoofing(_nl: Netlink, _owner: MacSpoofingOwner): void {
  throw new Error('not written yet');
}

/** What is missing or different, in words. */
export function checkMacSpoofing(
  _nl: Netlink,
  _owner: MacSpoofingOwner,
  _hostLink: string,
  _mac: Uint8Array,
): string[] {
  throw new Error('not written yet');
}

/** Removes the rules whose host link is gone: `linkExists` tells. (The rules do not name their network.) */
export function gcMacSpoofing(_nl: Netlink, _linkExists: (name: string) => boolean): void {
  throw new Error('not written yet');
}
