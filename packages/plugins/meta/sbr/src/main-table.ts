import { formatCidr, networkOf } from '@cni-ts/address/cidr';
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
import { putRoute } from '@cni-ts/rtnetlink/whole-route';
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
    if (this.#hints) for (const { cidr } of this.#wanted.addresses) this.#hint(site, link, cidr);
    const leaving = this.#hints ? routes.filter(({ scope }) => scope !== routeScopes.link) : routes;
    takeRoutes(site, leaving, 'Failed to delete route');
    unlockNamespace(site);
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
