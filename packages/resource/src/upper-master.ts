import { mtuLimits } from '@cni-ts/resource/link-mtu';
import type { Namespace } from '@cni-ts/resource/namespace';
import { findLink, findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import { listRoutes, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';

const RTN_UNICAST = 1;

/** The link that `master` names, also by an alternative name; or, for '', the one that the default route leads out of. */
export function findMaster(at: Namespace, name: string): Link {
  if (name === '') return defaultRouteLink(at);
  const link = findLink(at.route, name);
  // The first three words are what operators search for; which link it was, they would like to know as well.
  if (!link) throw new Error(`Link not found: "${name}", which the configuration names as master`);
  return link;
}

/** IPv4 before IPv6, and of several the one with the lowest metric, which the kernel lists first. */
function defaultRouteLink(at: Namespace): Link {
  for (const family of [4, 6] as const) {
    const route = listRoutes(at.route, family).find(
      ({ dst, table, type }) => dst.prefix === 0 && table === RT_TABLE_MAIN && type === RTN_UNICAST,
    );
    if (!route) continue;
    const [index = 0, ...others] = new Set(route.hops.map((hop) => hop.index));
    if (others.length) {
      throw new Error(
        'no default route interface found: the default route leads out of several links; name one of them as master',
      );
    }
    const link = findLinkByIndex(at.route, index);
    if (link) return link;
  }
  throw new Error('no default route interface found: name a link as master, or add a default route');
}

/** An upper link cannot take packets that are longer than what its master takes, nor shorter ones than any link. */
export function checkMtu(mtu: number, master: Link): void {
  if (mtu < 0 || mtu > master.mtu) {
    throw new Error(`invalid MTU ${mtu}, must be [0, master MTU(${master.mtu})]`);
  }
  if (mtu !== 0 && mtu < mtuLimits.min) {
    const allowed = `0 (the master's) or at least ${mtuLimits.min}`;
    throw new Error(`failed to create macvlan: invalid argument: mtu is ${mtu}, must be ${allowed}`);
  }
}
