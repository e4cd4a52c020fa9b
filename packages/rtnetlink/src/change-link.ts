import type { Netlink } from '@cni-ts/netlink/socket';
import { changedLink } from './link.ts';
import { checkNewName } from './link-name.ts';

/** What becomes of a link; what is left out stays. */
export interface LinkChange {
  readonly name?: string;
  /** '' takes it away. */
  readonly ifAlias?: string;
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  readonly txQueueLength?: number;
  /** IFF_* bits to be on, and of which those that `mask` has not stay as they are. */
  readonly flags?: number;
  readonly mask?: number;
  readonly master?: number;
  /** Descriptor of the namespace it is moved to: slow (the kernel waits for RCU), so create it there where possible. */
  readonly netnsFd?: number;
}

/**
 * Changes a link in one request. The kernel (do_setlink in net/core/rtnetlink.c) goes by this order: namespace, MAC, MTU,
 * name, alias, flags, queue. It stops at what it refuses, and does not take back what it has done: one that was to be moved and
 * renamed may be there under its old name.
 */
export function changeLink(nl: Netlink, link: { readonly index: number }, change: LinkChange): void {
  const { name, mac, mask, ...rest } = change;
  if (name !== undefined) checkNewName(name);
  nl.request(changedLink(link, { ...rest, ifname: name, address: mac, ...(mask && { change: mask }) }));
}
