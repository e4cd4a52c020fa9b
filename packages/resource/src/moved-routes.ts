/** Routes of the container's link that go from one routing table to another: all of them, or none. */
import { formatCidr } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import type { Link } from '@cni-ts/rtnetlink/link';
import { RT_TABLE_MAIN, sameDestination } from '@cni-ts/rtnetlink/route';
import {
  dropRoute,
  listWholeRoutes,
  putBackRoute,
  putRoute,
  takeRoute,
  type WholeRoute,
} from '@cni-ts/rtnetlink/whole-route';
import { failing } from '@cni-ts/spec/failing';
import type { Site } from './site.ts';

/** Every route in the container, IPv4 before IPv6. A multipath route is one for each way. */
export function containerRoutes(site: Site): readonly WholeRoute[] {
  const { route } = site.container;
  return site.once(containerRoutes, () => [...listWholeRoutes(route, 4), ...listWholeRoutes(route, 6)]);
}

/** Those of table main that lead out of the link, also as one way of a multipath route. */
export function mainRoutesOf(site: Site, link: Link): WholeRoute[] {
  return containerRoutes(site).filter(({ index, table }) => index === link.index && table === RT_TABLE_MAIN);
}

/**
 * Puts routes into a table as they are, a route to a gateway after those that lead to its network. One that is there
 * already is left; another to the destination with the same metric is replaced.
 */
export function copyRoutes(
  site: Site,
  routes: readonly WholeRoute[],
  table: number,
  failure: (route: WholeRoute) => string,
): void {
  const { container, request } = site;
  const there = containerRoutes(site).filter((one) => one.table === table);
  for (const one of gatewaysLast(routes)) {
    const rivals = there.filter((other) => isSameWay(one, other));
    if (rivals.some((other) => other.index === one.index && sameGateway(one, other))) continue;
    const [before] = rivals;
    request.undo.make(
      `route ${formatCidr(one.dst)} in table ${table}`,
      () => failing(failure(one), () => putRoute(container.route, one, table)),
      () => void (before ? putRoute(container.route, before, table) : dropRoute(container.route, one, table)),
    );
  }
}

/** Takes routes out of the table they are in. */
export function takeRoutes(site: Site, routes: readonly WholeRoute[], failure: string): void {
  const { container, request } = site;
  for (const one of gatewaysLast(routes).toReversed()) {
    request.undo.make(
      `route ${formatCidr(one.dst)} out of table ${one.table}`,
      () => failing(failure, () => takeRoute(container.route, one)),
      () => putBackRoute(container.route, one),
    );
  }
}

/** In the order in which they can be made: a gateway's network first. */
export function gatewaysLast(routes: readonly WholeRoute[]): WholeRoute[] {
  return [...routes.filter(({ gateway }) => !gateway), ...routes.filter(({ gateway }) => gateway)];
}

/** Whether the kernel takes them for the same route: it keeps one of them in a table. */
function isSameWay(a: WholeRoute, b: WholeRoute): boolean {
  return sameDestination(a.dst, b.dst) && a.priority === b.priority && a.order.tos === b.order.tos;
}

function sameGateway(a: WholeRoute, b: WholeRoute): boolean {
  return a.gateway && b.gateway ? equalIp(a.gateway, b.gateway) : a.gateway === b.gateway;
}
