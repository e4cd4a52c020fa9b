import { equalIp, type Ip } from '@cni-ts/address/ip';
import { attributes } from '@cni-ts/netlink/attributes';
import { bytes, ip, s32, struct, u8, u16 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import type { Netlink } from '@cni-ts/netlink/socket';

const RTM_GETNEIGH = 30;
const AF = { 4: 2, 6: 10 } as const;

/** struct ndmsg and NDA_*, include/uapi/linux/neighbour.h */
const ndmsg = struct({ family: u8, padding: u8, padding2: u16, index: s32, state: u16, flags: u8, type: u8 });
const neighbourMessage = message(ndmsg, attributes('NDA_', { address: [1, ip], mac: [2, bytes] }));

const NUD_INCOMPLETE = 0x01;
const NUD_FAILED = 0x20;

export interface Neighbour {
  readonly mac: Uint8Array | undefined;
  /** Whether the kernel asked for it and nobody has answered. */
  readonly isSilent: boolean;
}

/** What the kernel knows of who has this address on this link; undefined where nobody has asked lately. */
export function findNeighbour(
  nl: Netlink,
  { index }: { readonly index: number },
  address: Ip,
): Neighbour | undefined {
  const all = nl.dump({
    name: 'RTM_GETNEIGH',
    type: RTM_GETNEIGH,
    flags: 0,
    message: neighbourMessage,
    value: { family: AF[address.family] },
  });
  const found = all.find(
    (one) => one.index === index && one.address !== undefined && equalIp(one.address, address),
  );
  if (!found) return undefined;
  const { mac, state = 0 } = found;
  return { mac, isSilent: (state & (NUD_INCOMPLETE | NUD_FAILED)) !== 0 };
}
