/** What a lease means for the container's link, once the plugin that called us has put it there: the daemon changes it
 *  when the server does. */
import { type Cidr, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, parseIp } from '@cni-ts/address/ip';
import type { LeaseResult } from '@cni-ts/dhcp-protocol/lease';
import { unlessThere } from '@cni-ts/libc/syscall-error';
import type { Netlink } from '@cni-ts/netlink/socket';
import { addAddress, deleteAddress, listAddresses } from '@cni-ts/rtnetlink/address';
import {
  addRoute,
  deleteRoute,
  listRoutes,
  type NewRoute,
  RT_TABLE_MAIN,
  routeScopes,
} from '@cni-ts/rtnetlink/route';
import type { Route } from '@cni-ts/spec/result';

const RTN_UNICAST = 1;

interface AtLink {
  readonly index: number;
}

/** Routes that were on a link, each with its table. */
export type KeptRoutes = readonly Route[];

/** The address as the link has it; undefined if it does not. */
function addressOn(route: Netlink, link: AtLink, { ip }: LeaseResult): Cidr | undefined {
  const wanted = parseCidr(ip.address);
  if (!wanted) return undefined;
  return listAddresses(route, link, wanted.ip.family).find(({ cidr }) => equalIp(cidr.ip, wanted.ip))?.cidr;
}

/**
 * Takes a lease's address from the link, since it must not be used any more. The kernel removes all routes that need it;
 * they are returned, whoever made them. Undefined where the link does not have the address: then it is not ours to say
 * what the link has.
 */
export function removeLease(route: Netlink, link: AtLink, old: LeaseResult): KeptRoutes | undefined {
  const address = addressOn(route, link, old);
  if (!address) return undefined;
  const kept = routesOn(route, link, address);
  // Another address of the same subnet would go with it, so the new one comes after.
  deleteAddress(route, link, address);
  return kept;
}

/** Puts a lease's address on the link, and the routes that `removeLease` took away: those of the old lease become those
 *  of the new one, in the table where they were. */
export function putLease(
  route: Netlink,
  link: AtLink,
  fresh: LeaseResult,
  kept: KeptRoutes,
  old: LeaseResult | undefined,
): void {
  const cidr = parseCidr(fresh.ip.address);
  if (!cidr) throw new Error(`${fresh.ip.address} cannot be put on the link`);
  unlessThere(() => addAddress(route, link, cidr));
  for (const one of replaced(kept, old, fresh)) {
    const made = routeOn(link, one);
    if (made) unlessThere(() => addRoute(route, made));
  }
}

/** Replaces the routes of the old lease by those of the new one, where their address stays the same. */
export function changeRoutes(route: Netlink, link: AtLink, old: LeaseResult, fresh: LeaseResult): void {
  if (JSON.stringify(old.routes) === JSON.stringify(fresh.routes)) return;
  const address = addressOn(route, link, old);
  if (!address) return;
  const kept = routesOn(route, link, address).filter((one) => isOf(one, old));
  for (const one of kept) {
    const gone = routeOn(link, one);
    if (gone) deleteRoute(route, gone);
  }
  for (const one of replaced(kept, old, fresh)) {
    const made = routeOn(link, one);
    if (made) unlessThere(() => addRoute(route, made));
  }
}

/** The routes on the link that the kernel did not make by itself for this address. */
function routesOn(route: Netlink, link: AtLink, address: Cidr): Route[] {
  const found: Route[] = [];
  for (const one of listRoutes(route, address.ip.family)) {
    const [hop, ...more] = one.hops;
    if (hop?.index !== link.index || more.length > 0 || one.type !== RTN_UNICAST) continue;
    // The subnet's own, which comes and goes with the address.
    if (!hop.gateway && (address.ip.family === 6 || (one.source && equalIp(one.source, address.ip))))
      continue;
    found.push({
      dst: formatCidr(one.dst),
      ...(hop.gateway && { gw: formatIp(hop.gateway) }),
      table: one.table,
      scope: one.scope,
      ...(one.priority !== 0 && { priority: one.priority }),
      ...(one.mtu !== 0 && { mtu: one.mtu }),
      ...(one.advmss !== 0 && { advmss: one.advmss }),
    });
  }
  return found;
}

/**
 * What is to be there after a lease was replaced: in each table that had a route of the old one, that of the new one to
 * the same destination. On-link routes come first, for others may lead through them.
 */
function replaced(kept: KeptRoutes, old: LeaseResult | undefined, fresh: LeaseResult): Route[] {
  const all: Route[] = [];
  const isPlaced = (dst: string) => all.some((one) => one.dst === dst);
  const tables = new Set<number | undefined>();
  for (const one of kept) {
    if (!old || !isOf(one, old)) {
      all.push(one);
      continue;
    }
    tables.add(one.table);
    const next = fresh.routes.find(({ dst }) => dst === one.dst);
    if (next) all.push({ ...next, ...(one.table !== undefined && { table: one.table }) });
  }
  // Another plugin may have moved them from the main table.
  const [moved] = tables;
  const table = tables.has(RT_TABLE_MAIN) ? RT_TABLE_MAIN : (moved ?? RT_TABLE_MAIN);
  for (const one of fresh.routes) if (!isPlaced(one.dst)) all.push({ ...one, table: one.table ?? table });
  return all.toSorted((a, b) => Number(gatewayOf(a) !== undefined) - Number(gatewayOf(b) !== undefined));
}

function isOf({ dst, gw }: Route, { routes }: LeaseResult): boolean {
  return routes.some((one) => one.dst === dst && gatewayOf(one) === gw);
}

/** 0.0.0.0 is written for a destination on the link itself. */
function gatewayOf({ gw }: Route): string | undefined {
  return gw === '0.0.0.0' || gw === '::' ? undefined : gw;
}

function routeOn(link: AtLink, one: Route): NewRoute | undefined {
  const dst = parseCidr(one.dst);
  const text = gatewayOf(one);
  const gateway = text === undefined ? undefined : parseIp(text);
  if (!dst) return undefined;
  const { mtu, advmss, priority, table } = one;
  const scope = one.scope ?? (gateway || dst.ip.family === 6 ? undefined : routeScopes.link);
  return { dst, link, ...(gateway && { gateway }), scope, table, priority, mtu, advmss };
}
