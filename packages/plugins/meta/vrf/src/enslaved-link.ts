import { equalCidr, formatCidr, isHost } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import { eventually } from '@cni-ts/resource/eventually';
import { copyRoutes, gatewaysLast, mainRoutesOf, takeRoutes } from '@cni-ts/resource/moved-routes';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import { vrfTable } from '@cni-ts/resource/routing-tables';
import type { Site } from '@cni-ts/resource/site';
import { type Address, addAddress, addressFlags, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLinkByIndex, getLink, type Link, setMaster } from '@cni-ts/rtnetlink/link';
import { listRoutes, type Route, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import { putRoute, RTPROT_KERNEL, type WholeRoute } from '@cni-ts/rtnetlink/whole-route';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { noLink } from './vrf-link.ts';

const global = 0;
/** Of an address put on again, the flags that are asked for, not observed. */
const kept = addressFlags.nodad | addressFlags.noPrefixRoute;
/** How long the kernel may take to route to an address that was put on again. Milliseconds. */
const patience = 2550;

/** That the container's link is in the VRF, with its addresses, and its routes in the VRF's table. */
export class EnslavedLink implements Resource {
  readonly #vrf: string;

  constructor(vrf: string) {
    this.#vrf = vrf;
  }

  describe({ ifname }: Site): string {
    return `link ${ifname} into ${this.#vrf}, with its routes`;
  }

  async ensure(site: Site): Promise<void> {
    try {
      await this.#enslave(site);
    } catch (error) {
      throw new Error(`cmdAdd failed: ${errorText(error)}`, { cause: error });
    }
  }

  async #enslave(site: Site): Promise<void> {
    const { container, ifname, request } = site;
    const { route } = container;
    const link = site.find('container', ifname);
    if (!link) throw new Error(noLink(site));
    const vrf = site.find('container', this.#vrf) ?? getLink(route, this.#vrf);
    // An ADD repeated.
    if (link.master === vrf.index) return;
    if (link.master) {
      const master = findLinkByIndex(route, link.master)?.name ?? `link ${link.master}`;
      throw new Error(`interface ${ifname} has already a master set: ${master}`);
    }
    const table = vrfTable(vrf) ?? 0;
    const addresses = listAddresses(route, link, 6).filter(({ scope }) => scope === global);
    // What the kernel makes with an address it makes again, in the other table.
    const routes = mainRoutesOf(site, link).filter(({ protocol }) => protocol !== RTPROT_KERNEL);
    // Links of the VRF are no ways of main's routes, but a multipath route would get its way back.
    takeRoutes(
      site,
      routes.filter(({ shared }) => shared),
      `could not take the way out of ${ifname} from a route of several`,
    );
    request.undo.make(
      `${ifname} in ${this.#vrf}`,
      () =>
        failing(`could not set vrf ${this.#vrf} as master of ${ifname}`, () =>
          setMaster(route, link, vrf.index),
        ),
      () => release(site, link, vrf, addresses, routes),
    );
    site.look('container', ifname);
    await this.#restore(site, link, addresses, table);
    copyRoutes(site, routes, table, ({ dst }) => `could not add route '${formatCidr(dst)} dev ${ifname}'`);
  }

  /** The kernel takes IPv6 addresses off a link that it puts into a VRF, unless told to keep them. */
  async #restore(site: Site, link: Link, addresses: readonly Address[], table: number): Promise<void> {
    const { route } = site.container;
    const lost = missingOf(addresses, listAddresses(route, link, 6));
    for (const { cidr, flags } of lost) {
      const what = `could not restore address ${formatCidr(cidr)} to ${link.name} @ ${this.#vrf}`;
      failing(what, () => addAddress(route, link, cidr, flags & kept));
    }
    const isRouted = ({ cidr }: Address, there: readonly Route[]) =>
      there.some(
        ({ dst, hops }) =>
          isHost(dst) && equalIp(dst.ip, cidr.ip) && hops.some(({ index }) => index === link.index),
      );
    let late = lost;
    const settled = await eventually(
      () => {
        const there = late.length ? listRoutes(route, 6).filter((one) => one.table === table) : [];
        late = late.filter((one) => !isRouted(one, there));
        return late.length === 0;
      },
      patience,
      5,
      100,
    );
    if (settled) return;
    const which = late.map(({ cidr }) => formatCidr(cidr)).join(', ');
    throw new Error(
      `failed getting local/host addresses for ${link.name} in table ${table} with dst ${which}`,
    );
  }

  differences(site: Site): Drift[] {
    const { ifname } = site;
    const vrf = site.find('container', this.#vrf);
    const link = site.find('container', ifname);
    if (vrf && link?.master === vrf.index) return [];
    return [{ text: `failed to find ${ifname} associated to vrf ${this.#vrf}` }];
  }
}

function missingOf(addresses: readonly Address[], there: readonly Address[]): Address[] {
  return addresses.filter(({ cidr }) => !there.some((one) => equalCidr(one.cidr, cidr)));
}

/** Undo: out of the VRF, and as it was before, addresses and routes, which the kernel drops a second time. */
function release(
  site: Site,
  { index, name }: Link,
  vrf: Link,
  addresses: readonly Address[],
  routes: readonly WholeRoute[],
): void {
  const { route } = site.container;
  const link = findLinkByIndex(route, index);
  if (link?.name !== name || (link.master !== 0 && link.master !== vrf.index)) return;
  if (link.master) setMaster(route, link, 0);
  for (const { cidr, flags } of missingOf(addresses, listAddresses(route, link, 6)))
    addAddress(route, link, cidr, flags & kept);
  for (const one of gatewaysLast(routes)) if (!one.shared) putRoute(route, one, RT_TABLE_MAIN);
}
