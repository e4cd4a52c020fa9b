import { findLink, findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import { nameAdvice } from '@cni-ts/rtnetlink/link-name';
import { listRoutes, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import { mtuLimits } from './link-mtu.ts';
import type { Place } from './place.ts';
import type { Site } from './site.ts';

const RTN_UNICAST = 1;

/** What follows the plugin's own words for a master that is not there. */
const namedIn = (name: string) =>
  `Link not found: "${name}", which the configuration names as master${nameAdvice(name)}`;

/**
 * The link that `name` names, also by an alternative name; or, for '', the one that the default route leads out of.
 * `what`: what the error begins with.
 */
export function findMaster(site: Site, place: Place, name: string, what = ''): Link {
  if (name === '') return site.once(byDefaultRoute[place], () => defaultRouteLink(site, place));
  const link = site.find(place, name);
  if (link) return link;
  // The first three words are what operators search for; which link it was, they would like to know as well.
  throw new Error(`${what}${namedIn(name)}${labelAdvice(site, place, name)}`);
}

/** Keys of what has been found. */
const byDefaultRoute: Record<Place, object> = { host: {}, container: {} };

/** `ens33:1` is what `ip address` shows beside an address, and looks like a link. */
function labelAdvice(site: Site, place: Place, name: string): string {
  const [before = ''] = name.split(':');
  if (before === name || before === '' || !findLink(site.at(place).route, before)) return '';
  return `: "${name}" is the label of an address of "${before}", which is a link`;
}

/** IPv4 before IPv6, and of several the one with the lowest metric, which the kernel lists first. */
function defaultRouteLink(site: Site, place: Place): Link {
  const { route: nl } = site.at(place);
  for (const family of [4, 6] as const) {
    const route = listRoutes(nl, family).find(
      ({ dst, table, type }) => dst.prefix === 0 && table === RT_TABLE_MAIN && type === RTN_UNICAST,
    );
    if (!route) continue;
    const [index = 0, ...others] = new Set(route.hops.map((hop) => hop.index));
    if (others.length) {
      throw new Error(
        'no default route interface found: the default route leads out of several links; name one of them as master',
      );
    }
    const link = findLinkByIndex(nl, index);
    if (link) return link;
  }
  const where = place === 'host' ? "the plugin's own namespace" : `the container ${site.request.netns}`;
  throw new Error(
    `no default route interface found: name a link as master, or add a default route in ${where}`,
  );
}

/** An upper link cannot take packets that are longer than what its master takes. 0: the master's. */
export function checkMtuOn(master: Link, mtu: number): void {
  if (mtu >= 0 && mtu <= master.mtu) return;
  throw new Error(`invalid MTU ${mtu}, must be [0, master MTU(${master.mtu})]`);
}

/** Nor shorter ones than any link that is an Ethernet of its own. 0, and less: the master's. */
export function checkLeastMtu(kind: string, mtu: number): void {
  if (mtu <= 0 || (mtu >= mtuLimits.min && mtu <= mtuLimits.max)) return;
  const allowed = `0 (the master's) or ${mtuLimits.min} to ${mtuLimits.max}`;
  throw new Error(`failed to create ${kind}: invalid argument: mtu is ${mtu}, must be ${allowed}`);
}
