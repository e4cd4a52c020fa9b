import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { anyOf, type NetlinkRequest } from '@cni-ts/netlink/socket';
import {
  addRoute,
  listRoutes,
  newRoute,
  oldRoute,
  RT_TABLE_MAIN,
  sameDestination,
} from '@cni-ts/rtnetlink/route';
import type { Drift, Place, Resource } from './resource.ts';
import { movedTables } from './routing-tables.ts';
import type { Site } from './site.ts';

export interface RouteWant {
  readonly at: Place;
  /** Name of the link it leads out of. */
  readonly link: string;
  readonly dst: Cidr;
  readonly gateway?: Ip | undefined;
  /** Whether another gateway would do: the result names none, and this one is as good as another. */
  readonly anyGateway?: boolean;
  readonly source?: Ip | undefined;
  readonly scope?: number | undefined;
  readonly table?: number | undefined;
  readonly priority?: number | undefined;
  /** Refused where there is one to the destination already; else it is beside that. */
  readonly exclusive?: boolean;
  /** Where another link has a route to the destination, of the same metric, this one is made with a higher metric. */
  readonly yields?: boolean | undefined;
  /** The plugin's words, where operators know others than these. */
  readonly failure?: string;
  readonly missing?: string;
  /** What the kernel may have meant by its refusal. */
  readonly advice?: (refusal: SyscallError) => string;
  /** Called where there is a route to the destination already, which then is kept. */
  readonly kept?: () => void;
}

/** IP6_RT_PRIO_USER, include/net/ip6_route.h: what an IPv6 route without a metric gets. */
const usualMetricOfIp6 = 1024;
/** Between a route and one that yields to it: room for others. */
const step = 100;

/** A route out of a link. */
export class Route implements Resource {
  readonly at: Place;
  readonly #want: RouteWant;

  constructor(want: RouteWant) {
    this.at = want.at;
    this.#want = want;
  }

  describe(): string {
    const { source } = this.#want;
    return `route ${this.#text()}${source ? ` src ${formatIp(source)}` : ''}`;
  }

  #text(): string {
    const { dst, gateway, link, priority, table } = this.#want;
    const via = gateway ? ` via ${formatIp(gateway)}` : '';
    return `${formatCidr(dst)}${via} dev ${link}${priority ? ` metric ${priority}` : ''}${table ? ` table ${table}` : ''}`;
  }

  request(site: Site): NetlinkRequest<never> {
    const { at, link, exclusive, yields } = this.#want;
    return anyOf(newRoute({ ...this.#want, link: site.link(at, link) }, exclusive || yields));
  }

  fine(code: string | undefined, site: Site): boolean {
    const { kept, yields } = this.#want;
    if (code !== 'EEXIST') return false;
    if (yields) return this.#yield(site);
    if (!kept) return false;
    kept();
    return true;
  }

  /** Makes it beside the other, with the next metric that nobody has; false where it is this link's own that is there. */
  #yield(site: Site): boolean {
    const { at, dst, table, priority } = this.#want;
    const link = site.link(at, this.#want.link);
    const { route: nl } = site.at(at);
    const others = listRoutes(nl, dst.ip.family).filter(
      (one) => one.table === (table || RT_TABLE_MAIN) && sameDestination(one.dst, dst),
    );
    if (others.some(({ hops }) => hops.some(({ index }) => index === link.index))) return false;
    const taken = new Set(others.map((one) => one.priority));
    let metric = priority || (dst.ip.family === 6 ? usualMetricOfIp6 : 0);
    do metric += step;
    while (taken.has(metric));
    addRoute(nl, { ...this.#want, link, priority: metric }, true);
    site.request.log(
      `the container has a route ${formatCidr(dst)} out of another link, which stays the better one: ` +
        `that of ${link.name} has metric ${metric}`,
    );
    return true;
  }

  failure(): string {
    const { failure, source } = this.#want;
    return failure ?? `failed to add route '${this.#text()}${source ? ` src ${formatIp(source)}` : ''}'`;
  }

  /** Refused where the container has such a route already, by whatever link. */
  foresee(site: Site): void {
    const { at, dst, table, priority, exclusive, yields, kept } = this.#want;
    if (!exclusive || yields || kept || at !== 'container') return;
    const metric = priority || (dst.ip.family === 6 ? usualMetricOfIp6 : 0);
    const isTaken = site
      .routes(at, dst.ip.family)
      .some(
        (one) =>
          one.table === (table || RT_TABLE_MAIN) && one.priority === metric && sameDestination(one.dst, dst),
      );
    if (!isTaken) return;
    const refusal = new SyscallError('RTM_NEWROUTE', 'EEXIST');
    throw new Error(`${this.failure()}: ${refusal.message}${this.advice(refusal)}`, { cause: refusal });
  }

  advice(refusal: SyscallError): string {
    return this.#want.advice?.(refusal) ?? '';
  }

  differences(site: Site): Drift[] {
    const { at, dst, gateway, anyGateway, priority, missing } = this.#want;
    const table = this.#want.table || RT_TABLE_MAIN;
    const link = site.find(at, this.#want.link);
    const through = at === 'host' ? link?.index : undefined;
    const isIn = (table: number) =>
      site
        .routes(at, dst.ip.family)
        .some(
          (one) =>
            one.table === table &&
            sameDestination(one.dst, dst) &&
            (through === undefined || one.hops.some(({ index }) => index === through)) &&
            (!gateway ||
              anyGateway ||
              one.hops.some((hop) => hop.gateway && equalIp(hop.gateway, gateway))) &&
            (!priority || one.priority === priority),
        );
    // A later plugin of the chain may have moved it: sbr, vrf.
    if (link && (isIn(table) || movedTables(site, at, link.name).some(isIn))) return [];
    const via = gateway && !anyGateway ? ` via ${formatIp(gateway)}` : '';
    const where = table === RT_TABLE_MAIN ? 'routing table' : `routing table ${table}`;
    return [{ text: missing ?? `Expected Route ${formatCidr(dst)}${via} not found in ${where}` }];
  }
}

/**
 * That there is no route of the kernel's own to the subnet of an address: it says that the subnet's hosts are on the
 * link, and they are not. The kernel makes it with the address. Of IPv4 it has scope link, which tells it from routes
 * through a gateway; IPv6 has no scopes.
 */
export class NoSubnetRoute implements Resource {
  readonly at = 'container';
  readonly #link: string;
  readonly #dst: Cidr;
  readonly #scope: number | undefined;

  constructor(link: string, dst: Cidr, scope: number | undefined) {
    this.#link = link;
    this.#dst = dst;
    this.#scope = scope;
  }

  describe(): string {
    return `no route ${formatCidr(this.#dst)} dev ${this.#link}`;
  }

  request(site: Site): NetlinkRequest<never> {
    return anyOf(oldRoute({ dst: this.#dst, link: site.link('container', this.#link), scope: this.#scope }));
  }

  fine(code: string | undefined): boolean {
    return code === 'ESRCH';
  }

  failure(): string {
    return `failed to delete route '${formatCidr(this.#dst)} dev ${this.#link}'`;
  }

  differences(site: Site): Drift[] {
    const index = site.find('container', this.#link)?.index;
    const isOnLink = site
      .routes('container', this.#dst.ip.family)
      .some(
        ({ table, dst, hops }) =>
          table === RT_TABLE_MAIN &&
          sameDestination(dst, this.#dst) &&
          hops.some((hop) => hop.index === index && !hop.gateway),
      );
    return isOnLink
      ? [{ text: `The route to ${formatCidr(this.#dst)} does not lead through a gateway` }]
      : [];
  }

  /** In a dry run: it is not worth a line. */
  readonly implied = true;
}
