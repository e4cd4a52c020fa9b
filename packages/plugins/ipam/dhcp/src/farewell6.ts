/** Gives an IPv6 lease back where nobody waits for it: until the server has answered, four times at most (RFC 8415, section
 *  18.2.7). DHCPv6 goes by who the client is and not by where he is, so the host's link will do when the container's is gone. */
import type { Client6State } from '@cni-ts/dhcp-protocol/client6-state';
import { Ip6Socket } from '@cni-ts/libc/ip6-socket';
import { Netlink } from '@cni-ts/netlink/socket';
import { findLink } from '@cni-ts/rtnetlink/link';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Around } from './around.ts';
import { Client6Driver, type Wire6 } from './client6-driver.ts';

/** Best effort: a server that hears nothing keeps the address until the lease runs out. `event`: `release`, or `timer` for a
 *  client that has begun already. */
export function farewell6(
  around: Around,
  hostLink: string,
  state: Client6State,
  event: 'release' | 'timer',
): void {
  try {
    const wire = wireOf(hostLink);
    if (!wire) return;
    const driver = new Client6Driver(around, wire, state, ({ type }) => {
      if (type === 'released') driver.stop();
    });
    driver.step({ type: event });
  } catch (error) {
    around.log(`an IPv6 lease could not be given back by ${hostLink}: ${errorText(error)}`);
  }
}

/** Undefined where the configuration names no link of the host, or there is none of that name. */
function wireOf(name: string): Wire6 | undefined {
  if (name === '') return undefined;
  const route = Netlink.open('route');
  try {
    const link = findLink(route, name);
    return link && { name, index: link.index, udp6: (port) => Ip6Socket.udp(name, port) };
  } finally {
    route.close();
  }
}
