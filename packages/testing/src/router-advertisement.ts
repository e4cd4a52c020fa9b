import { setTimeout as pause } from 'node:timers/promises';
import type { Place } from './namespaces.ts';

/** A rogue router: it offers addresses of 2001:db8:bad::/64, and itself as default route. */
const program = `
import socket, struct, sys
index = socket.if_nametoindex(sys.argv[1])
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
out.setsockopt(41, socket.IPV6_MULTICAST_HOPS, 255)
out.setsockopt(41, socket.IPV6_MULTICAST_IF, index)
router = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack('!BBBBIII16s', 3, 4, 64, 0xc0, 3600, 3600, 0, socket.inet_pton(socket.AF_INET6, '2001:db8:bad::'))
out.sendto(router + prefix, ('ff02::1', 0, 0, index))
`;

/** Sends one from a link, which must have its link-local address. */
export function sendAdvertisement(from: Place, ifname: string): void {
  from.sh(`python3 -c "${program}" ${ifname}`);
}

/**
 * Sends router advertisements from a link of `from` until `witness`, whose link is left as the kernel makes it, has
 * taken one; then all others of the same wire have received it too. Throws when it does not within ten seconds.
 */
export async function advertiseRouter(from: Place, ifname: string, witness: Place): Promise<void> {
  for (let patience = 100; patience > 0; patience--) {
    sendAdvertisement(from, ifname);
    await pause(100);
    if (takesAdvertisements(witness)) return;
  }
  throw new Error(`nobody took the router advertisements sent from ${ifname}`);
}

/** Whether the place has an address or a default route by a router's advertisement. */
export function takesAdvertisements(place: Place): boolean {
  const seen = place.sh('ip -6 addr show scope global; ip -6 route show');
  return seen.includes('2001:db8:bad:') || seen.includes('proto ra');
}
