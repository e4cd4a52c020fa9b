import { type Cidr, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, parseIp } from '@cni-ts/address/ip';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import type { Link } from '@cni-ts/rtnetlink/link';
import { listRoutes, type Route, RT_TABLE_MAIN, sameDestination } from '@cni-ts/rtnetlink/route';
import type { Result } from '@cni-ts/spec/result';
import type { Namespace } from './namespace.ts';

/**
 * CHECK of a container's link against prevResult: addresses of this link, their subnet's route, and the routes of
 * the result, every drift in words. Addresses that the result gives to another interface are that one's business.
 */
export function addressDifferences(container: Namespace, link: Link, result: Result): string[] {
  const drift: string[] = [];
  const lists = new Map<4 | 6, Route[]>();
  const routes = (family: 4 | 6) => {
    const list = lists.get(family) ?? listRoutes(container.route, family);
    lists.set(family, list);
    return list;
  };
  const present = listAddresses(container.route, link);
  for (const ip of result.ips ?? []) {
    const owner = ip.interface === undefined ? undefined : result.interfaces?.[ip.interface];
    if (owner && owner.name !== link.name) continue;
    const want = parseCidr(ip.address);
    if (!want) drift.push(`prevResult has the invalid address ${ip.address}`);
    else if (!present.some(({ cidr }) => cidr.prefix === want.prefix && equalIp(cidr.ip, want.ip))) {
      drift.push(`Failed to match addr ${formatCidr(want)} on interface ${link.name}`);
    } else if (want.prefix < want.ip.bytes.length * 8 && !reaches(routes(want.ip.family), want)) {
      const gateway = ip.gateway ?? 'none';
      drift.push(
        `Failed to find Gateway ${gateway} for interface ${link.name}: no route to ${formatCidr(networkOf(want))}`,
      );
    }
  }
  return [...drift, ...routeDifferences(result, routes)];
}

/** Each route of the result must be there, in its own table, by destination and (where it names one) gateway. */
function routeDifferences(result: Result, routes: (family: 4 | 6) => Route[]): string[] {
  const drift: string[] = [];
  for (const route of result.routes ?? []) {
    const dst = parseCidr(route.dst);
    const gateway = route.gw === undefined ? undefined : parseIp(route.gw);
    if (!dst) {
      drift.push(`Invalid static route found ${JSON.stringify(route)}`);
      continue;
    }
    const table = route.table || RT_TABLE_MAIN;
    const found = routes(dst.ip.family).some(
      (one) =>
        one.table === table &&
        sameDestination(one.dst, dst) &&
        (!gateway || one.hops.some((hop) => hop.gateway && equalIp(hop.gateway, gateway))) &&
        (!route.priority || one.priority === route.priority),
    );
    if (!found) {
      const via = gateway ? ` via ${formatIp(gateway)}` : '';
      const where = table === RT_TABLE_MAIN ? 'routing table' : `routing table ${table}`;
      drift.push(`Expected Route ${formatCidr(dst)}${via} not found in ${where}`);
    }
  }
  return drift;
}

/** The subnet of an address is reached without a gateway. A /32 or /128 has no such route, and needs none. */
function reaches(routes: readonly Route[], address: Cidr): boolean {
  return routes.some((route) => route.table === RT_TABLE_MAIN && sameDestination(route.dst, address));
}

export { failOn } from './drift.ts';
