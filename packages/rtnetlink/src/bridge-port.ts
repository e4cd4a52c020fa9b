import { attributes, nest, type Read } from '@cni-ts/netlink/attributes';
import { u8, u16, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import type { Netlink } from '@cni-ts/netlink/socket';
import { ifinfomsg, indexOf, type Link, RTM_SETLINK } from './link.ts';

const AF_BRIDGE = 7;
const INFO_SLAVE_DATA = 5;

/** A port of a bridge: IFLA_BRPORT_*, include/uapi/linux/if_link.h. Switches are u8 (net/bridge/br_netlink.c). */
export const bridgePort = attributes('IFLA_BRPORT_', {
  state: [1, u8],
  priority: [2, u16],
  cost: [3, u32],
  hairpin: [4, u8], // the kernel's name is MODE
  guard: [5, u8],
  protect: [6, u8],
  fastLeave: [7, u8],
  learning: [8, u8],
  unicastFlood: [9, u8],
  isolated: [33, u8],
});

const portMessage = message(ifinfomsg, attributes('IFLA_', { portInfo: [12, nest(bridgePort)] }));

/** Sets switches of a bridge port. EOPNOTSUPP if the link is no port. */
export function setBridgePort(
  nl: Netlink,
  link: { readonly index: number },
  port: Read<typeof bridgePort>,
): void {
  nl.request({
    name: 'RTM_SETLINK',
    type: RTM_SETLINK,
    flags: 0,
    message: portMessage,
    value: { family: AF_BRIDGE, index: indexOf(link), portInfo: port },
  });
}

/** The switches of a link that is a bridge port, from what a get of the link already told; undefined otherwise. */
export function bridgePortOf(link: Link): Read<typeof bridgePort> | undefined {
  const data = link.attributes.linkInfo?.unknown?.find(({ type }) => type === INFO_SLAVE_DATA);
  return data && bridgePort.read(data.bytes);
}
