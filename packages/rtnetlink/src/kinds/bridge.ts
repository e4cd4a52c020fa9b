import { attributes } from '@cni-ts/netlink/attributes';
import { be16, bytes, u8, u16, u32 } from '@cni-ts/netlink/codec';

/** A software bridge: IFLA_BR_*, include/uapi/linux/if_link.h; types from the policy in net/bridge/br_netlink.c. */
export const bridge = attributes('IFLA_BR_', {
  forwardDelay: [1, u32], // 1/100 s
  helloTime: [2, u32],
  maxAge: [3, u32],
  ageingTime: [4, u32],
  stpState: [5, u32],
  priority: [6, u16],
  vlanFiltering: [7, u8], // refused by kernels without CONFIG_BRIDGE_VLAN_FILTERING
  vlanProtocol: [8, be16],
  groupForwardMask: [9, u16],
  rootId: [10, bytes],
  bridgeId: [11, bytes],
  multicastSnooping: [23, u8],
  vlanDefaultPvid: [39, u16],
});
