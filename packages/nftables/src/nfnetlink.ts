import { be16, struct, u8 } from '@cni-ts/netlink/codec';

/** struct nfgenmsg, include/uapi/linux/netfilter/nfnetlink.h. `resource` is the subsystem in a batch's first and last. */
export const nfgenmsg = struct({ family: u8, version: u8, resource: be16 });

/** NFNL_SUBSYS_*: the upper byte of a message's type. */
export const subsystem = { conntrack: 1, nftables: 10 } as const;

export function messageType(of: keyof typeof subsystem, message: number): number {
  return (subsystem[of] << 8) | message;
}

/** Address families as nfnetlink counts them: NFPROTO_*, include/uapi/linux/netfilter.h. */
export const families = { inet: 1, ip: 2, bridge: 7, ip6: 10 } as const;

export type NftFamily = keyof typeof families;
