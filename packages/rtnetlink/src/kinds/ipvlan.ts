import { attributes } from '@cni-ts/netlink/attributes';
import { oneOf, u16 } from '@cni-ts/netlink/codec';

/** Of all ipvlan links on one lower link together: the last one made decides. */
export const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
export type IpvlanMode = keyof typeof ipvlanModes;

/** A link with the MAC address of the link it stands on, told apart by its IP addresses: IFLA_IPVLAN_*,
 *  include/uapi/linux/if_link.h. Without a mode the kernel takes l3, though l2 is 0. */
export const ipvlan = attributes('IFLA_IPVLAN_', {
  mode: [1, oneOf(u16, ipvlanModes)],
  flags: [2, u16], // 0: bridge; 1: private, 2: vepa
});
