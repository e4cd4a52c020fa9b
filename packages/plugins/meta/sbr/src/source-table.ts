import { contains, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip, isLinkLocal6, isUnspecified, parseIp } from '@cni-ts/address/ip';
import type { Assigned } from '@cni-ts/resource/link-addressing';
import { containerRoutes, copyRoutes, mainRoutesOf } from '@cni-ts/resource/moved-routes';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import { containerRules, freeTable, tablesInUse } from '@cni-ts/resource/routing-tables';
import type { Site } from '@cni-ts/resource/site';
import type { Link } from '@cni-ts/rtnetlink/link';
import { addRoute, deleteRoute, RT_TABLE_MAIN, sameDestination } from '@cni-ts/rtnetlink/route';
import type { WholeRoute } from '@cni-ts/rtnetlink/whole-route';
import { failing } from '@cni-ts/spec/failing';
import type { Route } from '@cni-ts/spec/result';
import { describeRule, isFrom, lockNamespace, makeRule } from './source-rule.ts';

/** The reference's first; those below are often somebody's. */
const firstTable = 100;

/** What the tables are made for. */
export interface Wanted {
  readonly addresses: readonly Assigned[];
  /** Those of the configuration, which come before all others. */
  readonly gateways: Partial<Record<4 | 6, Ip>>;
  readonly priority: number | undefined;
  /** The routes of the result. */
  readonly given: readonly Route[];
}

/** That what comes from an address is routed by a table of its own, which has the link's routes. */
export class SourceTable implements Resource {
  readonly #wanted: Wanted;
  readonly #address: Assigned;
  readonly #link: () => Link | undefined;

  /** `link`: the container's; undefined in a dry run, where it may not be there yet. */
  constructor(wanted: Wanted, address: Assigned, link: () => Link | undefined) {
    this.#wanted = wanted;
    this.#address = address;
    this.#link = link;
  }

  get #ip(): Ip {
    return this.#address.cidr.ip;
  }

  #table(site: Site): number {
    return tablesOf(site, this.#wanted, this.#link()).get(this.#address)!;
  }

  describe(site: Site): string {
    return `${describeRule(this.#ip, this.#table(site))}, with the routes of ${site.ifname}`;
  }

  ensure(site: Site): void {
    lockNamespace(site);
    const link = this.#link();
    if (!link) throw new Error(`Cannot find network interface ${site.ifname}: Link not found`);
    const table = this.#table(site);
    if (!containerRules(site).some((one) => isFrom(one, this.#ip) && one.table === table))
      makeRule(site, this.#ip, table, this.#wanted.priority, 'Failed to add rule');
    const copied = this.#copied(mainRoutesOf(site, link));
    this.#makeDefault(site, link, table, copied);
    copyRoutes(site, copied, table, () => 'Failed to readd route');
  }

  #makeDefault(site: Site, link: Link, table: number, copied: readonly WholeRoute[]): void {
    const { container, request, ifname } = site;
    const { family } = this.#ip;
    const inTable = containerRoutes(site).filter((one) => one.table === table && one.index === link.index);
    const hasDefault = [...copied, ...inTable].some(({ dst }) => isDefault(dst) && dst.ip.family === family);
    const gateway = this.#wanted.gateways[family] ?? (hasDefault ? undefined : this.#gateway());
    if (!gateway) {
      if (hasDefault) return;
      request.log(
        `sbr: nothing names a gateway for ${formatIp(this.#ip)}: what it sends beyond its network has no route; ` +
          `name one in gateways, or let IPAM give ${ifname} a gateway or a default route`,
      );
      return;
    }
    const dst = { ip: { family, bytes: new Uint8Array(this.#ip.bytes.length) }, prefix: 0 };
    if (inTable.some((one) => isDefault(one.dst) && one.gateway && equalIp(one.gateway, gateway))) return;
    const route = { dst, gateway, link, table };
    request.undo.make(
      `default route in table ${table}`,
      () =>
        failing(`Failed to add default route to ${formatIp(gateway)}`, () =>
          addRoute(container.route, route, true),
        ),
      () => void deleteRoute(container.route, route),
    );
  }

  /** Of the address, or of a default route that IPAM gave without telling a gateway of the address. Some IPAM plugins say by
   *  0.0.0.0 that there is none. */
  #gateway(): Ip | undefined {
    const { cidr, gateway } = this.#address;
    if (gateway && !isUnspecified(gateway)) return gateway;
    for (const { dst, gw } of this.#wanted.given) {
      const to = parseCidr(dst);
      const via = gw === undefined ? undefined : parseIp(gw);
      if (to && isDefault(to) && via && !isUnspecified(via) && contains(cidr, via)) return via;
    }
    return undefined;
  }

  /**
   * The link's routes that have to do with this address: whose source or gateway is in its network, and those that
   * have neither, but for another address's network. Gateways known by their link-local address serve every IPv6 one.
   */
  #copied(routes: readonly WholeRoute[]): WholeRoute[] {
    const { cidr } = this.#address;
    const { addresses, gateways } = this.#wanted;
    const others = addresses.filter(
      (one) => one.cidr.ip.family === cidr.ip.family && !sameDestination(one.cidr, cidr),
    );
    return routes.filter(({ dst, source, gateway }) => {
      if (gateways[dst.ip.family] && isDefault(dst)) return false;
      if (source && contains(cidr, source)) return true;
      if (!gateway) return !source && !others.some((one) => sameDestination(networkOf(one.cidr), dst));
      if (contains(cidr, gateway)) return true;
      return isLinkLocal6(gateway) && cidr.ip.family === 6 && !(isDefault(dst) && this.#gateway());
    });
  }

  differences(site: Site): Drift[] {
    const link = this.#link();
    const table = containerRules(site).find((one) => isOwnRule(one.table) && isFrom(one, this.#ip))?.table;
    if (table === undefined)
      return [{ text: `no rule from ${formatIp(this.#ip)} leads to a table of its own` }];
    const gateway = this.#wanted.gateways[this.#ip.family] ?? this.#gateway();
    const routes = containerRoutes(site).filter(
      (one) => one.table === table && one.index === link?.index && one.dst.ip.family === this.#ip.family,
    );
    if (gateway && !routes.some(({ dst }) => isDefault(dst)))
      return [{ text: `table ${table} has no default route via ${formatIp(gateway)} dev ${site.ifname}` }];
    if (routes.length === 0) return [{ text: `table ${table} has no route out of ${site.ifname}` }];
    return [];
  }
}

/** Which table each address has: that of its rule; or one that has its routes, but lost the rule; or a new one. */
function tablesOf(site: Site, wanted: Wanted, link: Link | undefined): Map<Assigned, number> {
  return site.once(wanted, () => {
    const used = tablesInUse(site);
    const rules = containerRules(site);
    const routes = containerRoutes(site).filter(({ index }) => link && index === link.index);
    const tables = new Map<Assigned, number>();
    let from = firstTable;
    for (const one of wanted.addresses) {
      const { cidr } = one;
      const ruled = rules.find((rule) => isOwnRule(rule.table) && isFrom(rule, cidr.ip))?.table;
      const own = routes.filter(({ dst }) => sameDestination(dst, cidr));
      const left = own.every(({ table }) => table !== RT_TABLE_MAIN)
        ? own.find(({ table }) => table >= firstTable && !rules.some((rule) => rule.table === table))?.table
        : undefined;
      const table = ruled ?? left ?? freeTable(used, from);
      if (ruled === undefined && left === undefined) from = table + 1;
      tables.set(one, table);
    }
    return tables;
  });
}

/** Not one of the kernel's own, which everything is routed by. */
function isOwnRule(table: number): boolean {
  return table > 0 && (table < 253 || table > 255);
}

function isDefault({ prefix }: { readonly prefix: number }): boolean {
  return prefix === 0;
}
