import type { Cidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, attributesOf, nest, type Read } from '@cni-ts/netlink/attributes';
import { bytes, type Codec, ip, s32, struct, u8, u16, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { indexOf } from './link.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
const AF = { 4: 2, 6: 10 } as const;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RTM_F_CLONED = 0x200;

export const RT_TABLE_MAIN = 254;
/** rtm_scope: how far the destination is. */
export const routeScopes = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;

/** struct rtmsg, include/uapi/linux/rtnetlink.h */
export const rtmsg = struct({
  family: u8,
  dstLength: u8,
  srcLength: u8,
  tos: u8,
  table: u8, // 0 when it does not fit: then the attribute has it
  protocol: u8,
  scope: u8,
  type: u8,
  flags: u32,
});

/** struct rtnexthop: length, flags, hops, index, then attributes of its own; several lie one after the other. */
interface NextHop {
  readonly index: number;
  readonly gateway?: Ip | undefined;
}
const nextHop = struct({ length: u16, flags: u8, hops: u8, index: s32 });
const multipath: Codec<NextHop[]> = {
  write: () => {
    throw new Error('writing multipath routes is not supported; add one route per gateway');
  },
  read(payload) {
    const hops: NextHop[] = [];
    for (let at = 0; at + 8 <= payload.length; ) {
      const { length, index } = nextHop.read(payload.subarray(at, at + 8));
      if (length < 8) break;
      let gateway: Ip | undefined;
      for (const { type, bytes: value } of attributesOf(payload.subarray(at + 8, at + length))) {
        if (type === 5) gateway = ip.read(value);
      }
      hops.push({ index, gateway });
      at += (length + 3) & ~3;
    }
    return hops;
  },
};

/** RTA_*, include/uapi/linux/rtnetlink.h */
export const routeMessage = message(
  rtmsg,
  attributes('RTA_', {
    dst: [1, ip],
    src: [2, ip],
    iif: [3, u32],
    oif: [4, u32],
    gateway: [5, ip],
    priority: [6, u32], // the metric
    prefSrc: [7, ip],
    metrics: [8, nest(attributes('RTAX_', { mtu: [2, u32], advmss: [8, u32] }))],
    multipath: [9, multipath],
    tableId: [15, u32],
    via: [18, bytes],
  }),
);

/** A route to be added. `dst` undefined is the default route of `family`. */
export interface NewRoute {
  readonly dst: Cidr;
  readonly gateway?: Ip | undefined;
  readonly link: { readonly index: number };
  readonly source?: Ip | undefined;
  readonly scope?: number | undefined;
  readonly table?: number | undefined;
  readonly priority?: number | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
}

/** A route as the kernel lists it: one next hop, or several for a multipath route. */
export interface Route {
  readonly dst: Cidr;
  readonly table: number;
  readonly priority: number;
  readonly scope: number;
  readonly type: number;
  readonly source: Ip | undefined;
  readonly hops: readonly NextHop[];
  readonly mtu: number;
  readonly advmss: number;
}

function body(route: NewRoute): Read<typeof routeMessage> {
  const { dst, gateway, link, source, table, priority, mtu, advmss } = route;
  const isDefault = dst.prefix === 0 && dst.ip.bytes.every((byte) => byte === 0);
  return {
    family: AF[dst.ip.family],
    dstLength: dst.prefix,
    table: table === undefined || table === 0 ? RT_TABLE_MAIN : table < 256 ? table : 0,
    protocol: RTPROT_BOOT,
    scope: route.scope ?? routeScopes.universe,
    type: RTN_UNICAST,
    dst: isDefault ? undefined : dst.ip,
    gateway,
    oif: indexOf(link),
    priority: priority || undefined,
    prefSrc: source,
    metrics: mtu || advmss ? { mtu: mtu || undefined, advmss: advmss || undefined } : undefined,
    tableId: table !== undefined && table >= 256 ? table : undefined,
  };
}

/**
 * RTM_NEWROUTE beside what is there ("shared"): an exact duplicate is EEXIST; IPv4 with another gateway becomes a
 * second route before the first; IPv6 joins into one multipath route. `exclusive` refuses any with the same
 * destination and metric. ENETUNREACH: the gateway is not on the link; EINVAL: the destination has host bits.
 */
export function addRoute(nl: Netlink, route: NewRoute, exclusive = false): void {
  nl.request(newRoute(route, exclusive));
}

/** The request that addRoute makes, to go with others. */
export function newRoute(route: NewRoute, exclusive = false) {
  const flags = NLM_F.create | (exclusive ? NLM_F.exclusive : 0);
  return { name: 'RTM_NEWROUTE', type: RTM_NEWROUTE, flags, message: routeMessage, value: body(route) };
}

/** Deletes a route by destination, link, and what else is given; false if there was none (ESRCH). */
export function deleteRoute(nl: Netlink, route: NewRoute): boolean {
  try {
    nl.request(oldRoute(route));
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** The request that deleteRoute makes, to go with others. */
export function oldRoute(route: NewRoute) {
  // Protocol, type and scope are left open: 0, 0 and "nowhere" match any.
  const value = { ...body(route), protocol: 0, type: 0, scope: route.scope ?? routeScopes.nowhere };
  return { name: 'RTM_DELROUTE', type: RTM_DELROUTE, flags: 0, message: routeMessage, value };
}

/** The routes of a family in every table, without cached ones. */
export function listRoutes(nl: Netlink, family: 4 | 6): Route[] {
  const value = { family: AF[family] };
  const all = nl.dump({ name: 'RTM_GETROUTE', type: RTM_GETROUTE, flags: 0, message: routeMessage, value });
  const found: Route[] = [];
  for (const one of all) {
    if (one.family !== AF[family] || (one.flags ?? 0) & RTM_F_CLONED) continue;
    const any: Ip = { family, bytes: new Uint8Array(family === 4 ? 4 : 16) };
    found.push({
      dst: { ip: one.dst ?? any, prefix: one.dstLength ?? 0 },
      table: one.tableId ?? one.table ?? 0,
      priority: one.priority ?? 0,
      scope: one.scope ?? 0,
      type: one.type ?? 0,
      source: one.prefSrc,
      hops: one.multipath ?? [{ index: one.oif ?? 0, gateway: one.gateway }],
      mtu: one.metrics?.mtu ?? 0,
      advmss: one.metrics?.advmss ?? 0,
    });
  }
  return found;
}

/** The destination compared by meaning: same network, whatever host bits were written. Byte by byte: CHECK does it for
 *  every route there is. */
export function sameDestination(a: Cidr, b: Cidr): boolean {
  if (a.prefix !== b.prefix || a.ip.family !== b.ip.family) return false;
  const [one, other] = [a.ip.bytes, b.ip.bytes];
  const whole = a.prefix >> 3;
  for (let i = 0; i < whole; i++) if (one[i] !== other[i]) return false;
  const rest = a.prefix & 7;
  return rest === 0 || ((one[whole]! ^ other[whole]!) & (0xff00 >> rest)) === 0;
}
