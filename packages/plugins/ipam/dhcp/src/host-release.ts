/** Gives a dead container's lease back: its link is gone, so that the message leaves by the host's. */

import { parseMac } from '@cni-ts/address/mac';
import { step4 } from '@cni-ts/dhcp-protocol/client4';
import { writeFrame4 } from '@cni-ts/dhcp-protocol/frame4';
import { encodeMessage4 } from '@cni-ts/dhcp-protocol/message4';
import { PacketSocket } from '@cni-ts/libc/packet-socket';
import { Netlink } from '@cni-ts/netlink/socket';
import { findLink } from '@cni-ts/rtnetlink/link';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Around } from './around.ts';
import { farewell6 } from './farewell6.ts';
import type { LeaseRecord } from './lease-record.ts';

const everybody = new Uint8Array([255, 255, 255, 255, 255, 255]);

/** Best effort: a server that hears nothing keeps the address until the lease runs out. */
export function releaseFromHost(around: Around, record: LeaseRecord): void {
  const { hostLink, serverMac, client4, client6, key } = record;
  if (client6) farewell6(around, hostLink, client6, 'release');
  if (hostLink === '' || !client4?.lease) return;
  const { send } = step4(client4, { type: 'release' }, around.now(), Math.random);
  try {
    const route = Netlink.open('route');
    const link = findLink(route, hostLink);
    route.close();
    if (!link) return;
    const socket = PacketSocket.open(0);
    const to = (serverMac === undefined ? undefined : parseMac(serverMac)) ?? everybody;
    try {
      for (const { source, destination, message } of send)
        socket.send(writeFrame4({ source, destination, payload: encodeMessage4(message) }), link.index, to);
    } finally {
      socket.close();
    }
  } catch (error) {
    around.log(`${key}: its lease could not be given back: ${errorText(error)}`);
  }
}
