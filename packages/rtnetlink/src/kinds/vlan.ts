import { attributes } from '@cni-ts/netlink/attributes';
import { be16, fixedBytes, u16 } from '@cni-ts/netlink/codec';

/** A tagged sub-interface: IFLA_VLAN_*, include/uapi/linux/if_link.h. */
export const vlan = attributes('IFLA_VLAN_', {
  id: [1, u16],
  flags: [2, fixedBytes(8)], // struct ifla_vlan_flags: flags, mask
  protocol: [5, be16], // 0x8100 unless 802.1ad is wanted
});
