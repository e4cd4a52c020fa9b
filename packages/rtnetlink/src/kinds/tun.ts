import { attributes } from '@cni-ts/netlink/attributes';
import { oneOf, u8, u32 } from '@cni-ts/netlink/codec';

export const tunTypes = { tun: 1, tap: 2 } as const;

/** A link whose other end is a program: IFLA_TUN_*, include/uapi/linux/if_link.h. The kernel only tells these; such a
 *  link is made by ioctl(2) (libc's tap.ts). */
export const tun = attributes('IFLA_TUN_', {
  owner: [1, u32], // told where there is one
  group: [2, u32],
  type: [3, oneOf(u8, tunTypes)],
  packetInfo: [4, u8],
  vnetHeader: [5, u8],
  persist: [6, u8],
  multiQueue: [7, u8],
  queues: [8, u32],
  disabledQueues: [9, u32],
});
