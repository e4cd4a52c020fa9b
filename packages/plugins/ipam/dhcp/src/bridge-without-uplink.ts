import { Netlink } from '@cni-ts/netlink/socket';
import { findLink, listLinks } from '@cni-ts/rtnetlink/link';

/** What to add to an error about a server that does not answer: the network's bridge may lead nowhere. '' if it does. */
export function silentBridge(why: string, bridge: string): string {
  if (bridge === '' || !why.startsWith('no more tries')) return '';
  const route = Netlink.open('route');
  try {
    const own = findLink(route, bridge);
    if (!own) return '';
    const ports = listLinks(route).filter(({ master }) => master === own.index);
    if (ports.some(({ kind }) => kind !== 'veth')) return '';
    return `; bridge ${bridge} has no port that leads out, so only a DHCP server on this host could answer`;
  } finally {
    route.close();
  }
}
