import { attributes } from '@cni-ts/netlink/attributes';
import { be16, fixedBytes, oneOf, u16 } from '@cni-ts/netlink/codec';

/** ETH_P_8021Q and ETH_P_8021AD, include/uapi/linux/if_ether.h. */
export const vlanProtocols = { '802.1q': 0x8100, '802.1ad': 0x88a8 } as const;
export type VlanProtocol = keyof typeof vlanProtocols;

/** A tagged sub-interface: IFLA_VLAN_*, include/uapi/linux/if_link.h. */
export const vlan = attributes('IFLA_VLAN_', {
  id: [1, u16],
  flags: [2, fixedBytes(8)], // struct ifla_vlan_flags: flags, mask
  protocol: [5, oneOf(be16, vlanProtocols)], // of the tag; 802.1q where it is left out
});
