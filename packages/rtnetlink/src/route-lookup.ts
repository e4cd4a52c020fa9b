import type { Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import type { Netlink } from '@cni-ts/netlink/socket';
import { routeMessage } from './route.ts';

const RTM_GETROUTE = 26;
const AF = { 4: 2, 6: 10 } as const;
/** rtm_type of the host's own addresses. */
const RTN_LOCAL = 2;
const RTN_UNICAST = 1;

/** What the kernel would do with a packet to this address; undefined where it has no route. */
export interface RouteLookup {
  readonly local: boolean;
  /** Index of the link it would leave by. */
  readonly link: number;
}

/** Where the kernel would send a packet, with all that it tells of it. */
export interface RoutePath {
  readonly type: 'unicast' | 'local' | 'other';
  /** Index of the link it would leave by. */
  readonly link: number;
  /** Undefined where the destination is on the link itself. */
  readonly gateway: Ip | undefined;
  /** The address it would leave with, where none was given. */
  readonly source: Ip | undefined;
  /** Of the route itself; 0 where the link's counts. */
  readonly mtu: number;
}

/**
 * RTM_GETROUTE as for a packet of this host, or with `input` (index of a link) and `source` for one that comes in there.
 * The error's name where there is none: ENETUNREACH and EHOSTUNREACH for no route, EXDEV for a source that would not be
 * answered that way (rp_filter), EACCES and EINVAL for routes that refuse.
 */
export function lookUpPath(
  nl: Netlink,
  destination: Ip,
  from: { readonly source?: Ip; readonly input?: number } = {},
): RoutePath | string {
  const { source, input } = from;
  const bits = destination.bytes.length * 8;
  const value = {
    family: AF[destination.family],
    dstLength: bits,
    dst: destination,
    ...(source && { src: source, srcLength: bits }),
    ...(input && { iif: input }),
  };
  try {
    const found = nl.get({
      name: 'RTM_GETROUTE',
      type: RTM_GETROUTE,
      flags: 0,
      message: routeMessage,
      value,
    });
    return {
      type: found.type === RTN_LOCAL ? 'local' : found.type === RTN_UNICAST ? 'unicast' : 'other',
      link: found.oif ?? 0,
      gateway: found.gateway,
      source: found.prefSrc,
      mtu: found.metrics?.mtu ?? 0,
    };
  } catch (error) {
    if (error instanceof SyscallError && error.call === 'RTM_GETROUTE') return error.code;
    throw error;
  }
}

/** The same for one address, where all that counts is where it leads: a look-up, not a list. Undefined without a route. */
export function lookUpRoute(nl: Netlink, ip: Ip): RouteLookup | undefined {
  const path = lookUpPath(nl, ip);
  return typeof path === 'string' ? undefined : { local: path.type === 'local', link: path.link };
}
