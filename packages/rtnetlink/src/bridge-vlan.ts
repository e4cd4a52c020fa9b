import { attributes, nest } from '@cni-ts/netlink/attributes';
import { list, struct, u16, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import type { Netlink } from '@cni-ts/netlink/socket';
import { ifinfomsg, indexOf, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK } from './link.ts';

const AF_BRIDGE = 7;
const EXT_MASK_BRVLAN = 2;
/** IFLA_BRIDGE_FLAGS: the request is for the bridge the port belongs to. */
const BRIDGE_FLAGS_MASTER = 1;
const VLAN_PVID = 2;
const VLAN_UNTAGGED = 4;

/** struct bridge_vlan_info, include/uapi/linux/if_bridge.h */
const vlanInfo = struct({ flags: u16, id: u16 });

const vlanMessage = message(
  ifinfomsg,
  attributes('IFLA_', {
    afSpec: [26, nest(attributes('IFLA_BRIDGE_', { flags: [0, u16], vlanInfo: [2, list(vlanInfo)] }))],
    extMask: [29, u32],
  }),
);

/** A VLAN of a bridge port: `pvid` is given to untagged frames that come in, `untagged` loses its tag going out. */
export interface PortVlan {
  readonly id: number;
  readonly pvid: boolean;
  readonly untagged: boolean;
}

/** The VLANs of one bridge port, ascending. The kernel has no request for a single port, so this is a dump. */
export function listPortVlans(nl: Netlink, link: { readonly index: number }): PortVlan[] {
  const value = { family: AF_BRIDGE, extMask: EXT_MASK_BRVLAN };
  const links = nl.dump({ name: 'RTM_GETLINK', type: RTM_GETLINK, flags: 0, message: vlanMessage, value });
  const infos = links
    .filter(({ index }) => index === link.index)
    .flatMap((port) => port.afSpec?.vlanInfo ?? []);
  return infos.map(({ flags, id }) => ({
    id,
    pvid: !!(flags & VLAN_PVID),
    untagged: !!(flags & VLAN_UNTAGGED),
  }));
}

/** Adds a VLAN to a bridge port, or changes its flags. EOPNOTSUPP without CONFIG_BRIDGE_VLAN_FILTERING. */
export function addPortVlan(nl: Netlink, link: { readonly index: number }, vlan: PortVlan): void {
  change(nl, 'RTM_SETLINK', RTM_SETLINK, link, vlan);
}

export function deletePortVlan(nl: Netlink, link: { readonly index: number }, vlan: PortVlan): void {
  change(nl, 'RTM_DELLINK', RTM_DELLINK, link, vlan);
}

function change(
  nl: Netlink,
  name: string,
  type: number,
  link: { readonly index: number },
  vlan: PortVlan,
): void {
  const flags = (vlan.pvid ? VLAN_PVID : 0) | (vlan.untagged ? VLAN_UNTAGGED : 0);
  nl.request({
    name,
    type,
    flags: 0,
    message: vlanMessage,
    value: {
      family: AF_BRIDGE,
      index: indexOf(link),
      afSpec: { flags: BRIDGE_FLAGS_MASTER, vlanInfo: [{ flags, id: vlan.id }] },
    },
  });
}
