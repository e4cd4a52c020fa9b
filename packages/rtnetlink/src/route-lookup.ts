import type { Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Netlink } from '@cni-ts/netlink/socket';
import { routeMessage } from './route.ts';

const RTM_GETROUTE = 26;
const AF = { 4: 2, 6: 10 } as const;
/** rtm_type of the host's own addresses. */
const RTN_LOCAL = 2;

/** What the kernel would do with a packet to this address; undefined where it has no route. */
export interface RouteLookup {
  readonly local: boolean;
  /** Index of the link it would leave by. */
  readonly link: number;
}

/** RTM_GETROUTE for one address: a look-up, not a list. */
export function lookUpRoute(nl: Netlink, ip: Ip): RouteLookup | undefined {
  const value = { family: AF[ip.family], dstLength: ip.bytes.length * 8, dst: ip };
  try {
    const found = nl.get({
      name: 'RTM_GETROUTE',
      type: RTM_GETROUTE,
      flags: 0,
      message: routeMessage,
      value,
    });
    return { local: found.type === RTN_LOCAL, link: found.oif ?? 0 };
  } catch (error) {
    // No route, or one of the kinds that say so: the errno depends on the kind.
    if (error instanceof SyscallError && error.call === 'RTM_GETROUTE') return undefined;
    throw error;
  }
}
