import { formatCidr, networkOf } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import { NLM_F } from '@cni-ts/netlink/socket';
import { containerRoutes, mainRoutesOf, takeRoutes } from '@cni-ts/resource/moved-routes';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import type { Link } from '@cni-ts/rtnetlink/link';
import {
  deleteRoute,
  type NewRoute,
  newRoute,
  RT_TABLE_MAIN,
  routeScopes,
  sameDestination,
} from '@cni-ts/rtnetlink/route';
import { putRoute, type WholeRoute } from '@cni-ts/rtnetlink/whole-route';
import { errorText } from '@cni-ts/spec/cni-error';
import { unlockNamespace } from './source-rule.ts';
import type { Wanted } from './source-table.ts';

/**
 * That table main is without the link's routes. With hints it keeps the way to each address's own network, with that
 * address as source: so programs that choose no source reach it.
 */
export class MainTable implements Resource {
  /** In a dry run: the lines of the source tables tell it. */
  readonly implied = true;
  readonly #wanted: Wanted;
  readonly #hints: boolean;

  constructor(wanted: Wanted, hints: boolean) {
    this.#wanted = wanted;
    this.#hints = hints;
  }

  describe({ ifname }: Site): string {
    return `routes of ${ifname} leave table main`;
  }

  ensure(site: Site): void {
    const link = site.link('container', site.ifname);
    const routes = mainRoutesOf(site, link);
    const hints = this.#hints ? routes.filter((one) => this.#isHint(one)) : [];
    if (this.#hints) {
      for (const { cidr } of this.#wanted.addresses)
        if (!hints.some(({ source }) => source && equalIp(source, cidr.ip))) this.#hint(site, link, cidr);
    }
    const leaving = this.#hints
      ? routes.filter((one) => one.scope !== routeScopes.link && !isPartOf(hints, one))
      : routes;
    takeRoutes(site, leaving, 'Failed to delete route');
    unlockNamespace(site);
  }

  /** As ptp makes them: the network is behind a gateway, and what is sent there has the address already. */
  #isHint({ dst, gateway, source }: WholeRoute): boolean {
    if (!gateway || !source) return false;
    return this.#wanted.addresses.some(
      ({ cidr }) => equalIp(source, cidr.ip) && sameDestination(dst, networkOf(cidr)),
    );
  }

  /** A hint that the kernel does not take is no reason to fail: what it is for works by the address's table. */
  #hint(site: Site, link: Link, cidr: NewRoute['dst']): void {
    const { container, request } = site;
    const dst = networkOf(cidr);
    const hint: NewRoute = { dst, link, source: cidr.ip, scope: routeScopes.link };
    const flags = NLM_F.create | NLM_F.replace;
    const before = containerRoutes(site).find(
      (one) => one.table === RT_TABLE_MAIN && one.scope === routeScopes.link && sameDestination(one.dst, dst),
    );
    try {
      request.undo.make(
        `route ${formatCidr(dst)} in table main`,
        () => container.route.request({ ...newRoute(hint), flags }),
        () =>
          void (before
            ? putRoute(container.route, before, RT_TABLE_MAIN)
            : deleteRoute(container.route, hint)),
      );
    } catch (error) {
      request.log(`sbr: failed to add the route to ${formatCidr(dst)} with its source: ${errorText(error)}`);
    }
  }

  /** Routes that come later, by a router's advertisement, are in table main, and no fault. */
  differences(): Drift[] {
    return [];
  }
}

/** One of them, or the way to its gateway. */
function isPartOf(hints: readonly WholeRoute[], one: WholeRoute): boolean {
  const { dst, gateway: via } = one;
  const isHost = dst.prefix === dst.ip.bytes.length * 8;
  return hints.some(
    (hint) => hint === one || (!via && isHost && hint.gateway && equalIp(hint.gateway, dst.ip)),
  );
}
