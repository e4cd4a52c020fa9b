import { attributes } from '@cni-ts/netlink/attributes';
import { oneOf, u16, u32 } from '@cni-ts/netlink/codec';

export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;
export type MacvlanMode = keyof typeof macvlanModes;

/** A link with a MAC address of its own on top of another link: IFLA_MACVLAN_*, include/uapi/linux/if_link.h. */
export const macvlan = attributes('IFLA_MACVLAN_', {
  mode: [1, oneOf(u32, macvlanModes)],
  flags: [2, u16],
  broadcastQueueLength: [7, u32],
  broadcastQueueLengthUsed: [8, u32],
});
