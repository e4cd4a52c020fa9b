import { equalIp } from '@cni-ts/address/ip';
import { findLinkByIndex, type Link, linkData, listLinks } from '@cni-ts/rtnetlink/link';
import { RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import { listRules, type Rule } from '@cni-ts/rtnetlink/rule';
import { containerRoutes } from './moved-routes.ts';
import type { Place } from './place.ts';
import type { Site } from './site.ts';

/** include/uapi/linux/rtnetlink.h: local, main, default. */
const reserved: readonly number[] = [253, 254, 255];

/** The policy rules in the container, IPv4 before IPv6. */
export function containerRules(site: Site): readonly Rule[] {
  const { route } = site.container;
  return site.once(containerRules, () => [...listRules(route, 4), ...listRules(route, 6)]);
}

/** The routing table of a VRF link; undefined for another link. */
export function vrfTable(link: Link): number | undefined {
  return linkData(link, 'vrf')?.table;
}

/** The routing tables in the container that rules, routes or VRF links use, and those the kernel has for itself. */
export function tablesInUse(site: Site): Set<number> {
  const used = new Set(reserved);
  for (const { table } of containerRules(site)) used.add(table);
  for (const { table } of containerRoutes(site)) used.add(table);
  for (const link of listLinks(site.container.route)) {
    const table = vrfTable(link);
    if (table) used.add(table);
  }
  return used;
}

/** The first table from a number on that is not in use; it is then. */
export function freeTable(used: Set<number>, from: number): number {
  let table = from;
  while (used.has(table)) table++;
  used.add(table);
  return table;
}

/**
 * The tables beside main that routes of the container's link may have moved to, by plugins later in the chain: that of
 * the VRF it is in, and those that rules for its addresses lead to.
 */
export function movedTables(site: Site, place: Place, name: string): readonly number[] {
  const link = place === 'container' ? site.find(place, name) : undefined;
  if (!link) return [];
  const tables: number[] = [];
  const vrf = link.master ? findLinkByIndex(site.container.route, link.master) : undefined;
  const ofVrf = vrf && vrfTable(vrf);
  if (ofVrf) tables.push(ofVrf);
  const own = site.addresses(place, link);
  for (const { source, table } of containerRules(site)) {
    if (source && table !== RT_TABLE_MAIN && own.some(({ cidr }) => equalIp(cidr.ip, source.ip)))
      tables.push(table);
  }
  return tables;
}
