import type { Cidr } from '@cni-ts/address/cidr';
import type { Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { attributes, attributesOf, type Read } from '@cni-ts/netlink/attributes';
import { u32At } from '@cni-ts/netlink/bytes';
import { bytes, ip, u32 } from '@cni-ts/netlink/codec';
import { message } from '@cni-ts/netlink/message';
import { type Netlink, NLM_F } from '@cni-ts/netlink/socket';
import { RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE, rtmsg } from './route.ts';

const AF = { 4: 2, 6: 10 } as const;
const RTM_F_CLONED = 0x200;
/** Of the flags of a next hop the one that is asked for, not observed: the gateway is on the link, whatever routes say. */
const RTNH_F_ONLINK = 4;
const RTA_NH_ID = 30;
const RTA_GATEWAY = 5;
const RTA_VIA = 18;
/** USER_HZ: the unit of rta_cacheinfo's times. */
const ticksPerSecond = 100;

export const RTPROT_KERNEL = 2;

/** RTA_*, include/uapi/linux/rtnetlink.h. All but what has to be changed stays as it is, unread. */
const wholeMessage = message(
  rtmsg,
  attributes('RTA_', {
    dst: [1, ip],
    oif: [4, u32],
    gateway: [RTA_GATEWAY, ip],
    priority: [6, u32],
    prefSrc: [7, ip],
    multipath: [9, bytes],
    cacheInfo: [12, bytes],
    tableId: [15, u32],
    via: [RTA_VIA, bytes],
    expires: [23, u32], // seconds; IPv6
  }),
);
type WholeMessage = Read<typeof wholeMessage>;

/**
 * One way that a route of the kernel has out of a link, with all that the kernel tells of it: so that it can go to
 * another table, or come back, as it was. A multipath route is several of these.
 */
export interface WholeRoute {
  readonly dst: Cidr;
  readonly gateway: Ip | undefined;
  /** Of the link it leads out of. */
  readonly index: number;
  readonly source: Ip | undefined;
  readonly table: number;
  readonly scope: number;
  readonly protocol: number;
  readonly priority: number;
  /** Whether it is one of several ways of a multipath route. */
  readonly shared: boolean;
  /** The order that makes it again, but for its table. */
  readonly order: WholeMessage;
  /** Of a multipath route of IPv4: the orders that make it again whole, and without the hops out of this link. */
  readonly all?: WholeMessage | undefined;
  readonly rest?: WholeMessage | undefined;
}

/** The routes of a family, one for each next hop, in every table; without cached ones. */
export function listWholeRoutes(nl: Netlink, family: 4 | 6): WholeRoute[] {
  const value = { family: AF[family] };
  const all = nl.dump({ name: 'RTM_GETROUTE', type: RTM_GETROUTE, flags: 0, message: wholeMessage, value });
  const found: WholeRoute[] = [];
  for (const one of all) {
    if (one.family !== AF[family] || (one.flags ?? 0) & RTM_F_CLONED) continue;
    for (const order of ordersOf(one)) {
      const any: Ip = { family, bytes: new Uint8Array(family === 4 ? 4 : 16) };
      found.push({
        dst: { ip: one.dst ?? any, prefix: one.dstLength ?? 0 },
        gateway: order.gateway,
        index: order.oif ?? 0,
        source: one.prefSrc,
        table: one.tableId ?? one.table ?? 0,
        scope: one.scope ?? 0,
        protocol: one.protocol ?? 0,
        priority: one.priority ?? 0,
        shared: one.multipath !== undefined,
        order,
        ...(one.multipath && family === 4 && multipathOrders(one, one.multipath, order.oif ?? 0)),
      });
    }
  }
  return found;
}

function ordersOf(one: WholeMessage): WholeMessage[] {
  const unknown = known(one);
  const flags = (one.flags ?? 0) & RTNH_F_ONLINK;
  // struct rta_cacheinfo: clntref, lastuse, expires. What is about to end must still end, in another table, too.
  const left = one.cacheInfo ? u32At(one.cacheInfo, 8) | 0 : 0;
  const expires = left > 0 ? Math.ceil(left / ticksPerSecond) : undefined;
  const order = { ...one, unknown, flags, expires, cacheInfo: undefined, multipath: undefined };
  if (!one.multipath) return [order];
  return hopsOf(one.multipath).map(({ hop }) => {
    const of = attributesOf(hop.subarray(8));
    const gateway = of.find(({ type }) => type === RTA_GATEWAY)?.bytes;
    return {
      ...order,
      oif: u32At(hop, 4),
      flags: (hop[2] ?? 0) & RTNH_F_ONLINK,
      gateway: gateway && ip.read(gateway),
      via: of.find(({ type }) => type === RTA_VIA)?.bytes.slice(),
    };
  });
}

/** What a dump tells beyond our table. RTA_NH_ID is of no use: its hops are there as well. */
function known(one: WholeMessage) {
  return (one.unknown ?? []).filter(({ type }) => type !== RTA_NH_ID);
}

/** struct rtnexthop: length, flags, hops, index, then attributes of its own; several lie one after the other. */
function hopsOf(multipath: Uint8Array): { hop: Uint8Array; padded: Uint8Array }[] {
  const hops: { hop: Uint8Array; padded: Uint8Array }[] = [];
  for (let at = 0; at + 8 <= multipath.length; ) {
    const length = multipath[at]! | (multipath[at + 1]! << 8);
    if (length < 8) break;
    const next = at + ((length + 3) & ~3);
    hops.push({ hop: multipath.subarray(at, at + length), padded: multipath.slice(at, next) });
    at = next;
  }
  return hops;
}

/** How a route with several hops is made again. */
function multipathOrders(one: WholeMessage, multipath: Uint8Array, index: number) {
  const hops = hopsOf(multipath);
  const others = hops.filter(({ hop }) => u32At(hop, 4) !== index);
  return { all: joined(one, hops), rest: others.length ? joined(one, others) : undefined };
}

function joined(one: WholeMessage, hops: readonly { padded: Uint8Array }[]): WholeMessage {
  const multipath = new Uint8Array(hops.reduce((sum, { padded }) => sum + padded.length, 0));
  let at = 0;
  for (const { padded } of hops) {
    multipath.set(padded, at);
    multipath[at + 2] = padded[2]! & RTNH_F_ONLINK;
    at += padded.length;
  }
  return { ...one, unknown: known(one), flags: 0, cacheInfo: undefined, multipath };
}

function inTable(order: WholeMessage, table: number): WholeMessage {
  return { ...order, table: table < 256 ? table : 0, tableId: table < 256 ? undefined : table };
}

/** Makes the route, in this table: in the place of one with the same destination and metric, if there is one. */
export function putRoute(nl: Netlink, { order }: WholeRoute, table: number): void {
  send(nl, NLM_F.create | NLM_F.replace, inTable(order, table));
}

/** Puts back what `takeRoute` took, where it was. */
export function putBackRoute(nl: Netlink, { order, all, table }: WholeRoute): void {
  // An IPv6 route joins the others of its destination by itself.
  if (all) send(nl, NLM_F.create | NLM_F.replace, inTable(all, table));
  else send(nl, NLM_F.create, inTable(order, table));
}

/** Takes this way out of the table it is in; false if it was not there any more. Other hops of its route stay. */
export function takeRoute(nl: Netlink, { order, rest, table }: WholeRoute): boolean {
  if (rest) {
    send(nl, NLM_F.create | NLM_F.replace, inTable(rest, table));
    return true;
  }
  return deleteWholeRoute(nl, order, table);
}

/** Takes a route away that `putRoute` made in this table; false if it was not there any more. */
export function dropRoute(nl: Netlink, { order }: WholeRoute, table: number): boolean {
  return deleteWholeRoute(nl, order, table);
}

function deleteWholeRoute(nl: Netlink, order: WholeMessage, table: number): boolean {
  try {
    const value = { ...inTable(order, table), expires: undefined };
    nl.request({ name: 'RTM_DELROUTE', type: RTM_DELROUTE, flags: 0, message: wholeMessage, value });
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ESRCH') return false;
    throw error;
  }
}

function send(nl: Netlink, flags: number, value: WholeMessage): void {
  nl.request({ name: 'RTM_NEWROUTE', type: RTM_NEWROUTE, flags, message: wholeMessage, value });
}
