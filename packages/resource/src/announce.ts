import { type Link, setMac } from '@cni-ts/rtnetlink/link';
import type { Namespace } from './namespace.ts';
import { trySysctl } from './set-sysctl.ts';

/**
 * Lets the kernel tell a link's neighbours who has its addresses: an earlier owner of an address may be in their caches,
 * for half a minute or more. It does so when the link comes up (IPv6: when duplicate address detection is through), and
 * whenever its MAC is set. To be called inside the namespace, before the link is up.
 */
export function tellNeighbours(ifname: string, hasIp6 = true): void {
  trySysctl(`net/ipv4/conf/${ifname}/arp_notify`, '1');
  if (hasIp6) trySysctl(`net/ipv6/conf/${ifname}/ndisc_notify`, '1');
}

/**
 * Tells them now: what was said when the link came up is lost where the other end did not forward yet, as a bridge's
 * port, which notices its carrier a moment later. Setting the MAC it has changes nothing, and the kernel sends its
 * gratuitous ARP and unsolicited neighbour advertisements for every address in use (arp_notify in
 * Documentation/networking/ip-sysctl.rst, NETDEV_CHANGEADDR in net/ipv6/ndisc.c).
 */
export function announce(container: Namespace, link: Link): void {
  setMac(container.route, link, link.mac);
}
