import { type Cidr, equalCidr, formatCidr, isHost, networkOf } from '@cni-ts/address/cidr';
import { formatIp, type Ip } from '@cni-ts/address/ip';
import { anyOf, type NetlinkRequest } from '@cni-ts/netlink/socket';
import { addressFlags, newAddress } from '@cni-ts/rtnetlink/address';
import { addRoute, RT_TABLE_MAIN, routeScopes, sameDestination } from '@cni-ts/rtnetlink/route';
import type { Drift, Place, Resource } from './resource.ts';
import { movedTables } from './routing-tables.ts';
import type { Site } from './site.ts';

export interface AddressWant {
  readonly at: Place;
  /** Name of the link. */
  readonly link: string;
  readonly cidr: Cidr;
  /** Of IPv6: used at once, without asking whether somebody else has it. */
  readonly noDad?: boolean | undefined;
  /** The plugin's words, where operators know others than these. */
  readonly failure?: string;
  readonly missing?: string;
}

/** An address of a link, as new as the link. */
export class Address implements Resource {
  readonly at: Place;
  readonly #want: AddressWant;

  constructor(want: AddressWant) {
    this.at = want.at;
    this.#want = want;
  }

  describe(): string {
    return `address ${formatCidr(this.#want.cidr)} on ${this.#want.link}`;
  }

  request(site: Site): NetlinkRequest<never> {
    const { at, link, cidr, noDad } = this.#want;
    const flags = noDad && cidr.ip.family === 6 ? addressFlags.nodad : 0;
    return anyOf(newAddress(site.link(at, link), cidr, flags));
  }

  failure(): string {
    const { cidr, link, failure } = this.#want;
    return failure ?? `failed to add IP addr ${formatCidr(cidr)} to "${link}"`;
  }

  differences(site: Site): Drift[] {
    const { at, link, cidr, missing } = this.#want;
    const seen = site.find(at, link);
    const present = seen ? site.addresses(at, seen) : [];
    if (present.some((one) => equalCidr(one.cidr, cidr))) return [];
    return [{ text: missing ?? `Failed to match addr ${formatCidr(cidr)} on interface ${link}` }];
  }
}

/**
 * The route to the subnet of a link's address. The kernel makes it with the address; it can be lost alone. A /32 or /128
 * has none, and needs none.
 */
export class SubnetRoute implements Resource {
  readonly implied = true;
  readonly #link: string;
  readonly #address: Cidr;
  readonly #gateway: Ip | undefined;

  /** `gateway`: for the words. */
  constructor(link: string, address: Cidr, gateway: Ip | undefined) {
    this.#link = link;
    this.#address = address;
    this.#gateway = gateway;
  }

  describe(): string {
    return `route ${formatCidr(networkOf(this.#address))} on ${this.#link}`;
  }

  differences(site: Site): Drift[] {
    const { ip } = this.#address;
    if (isHost(this.#address)) return [];
    const routes = site.routes('container', ip.family);
    const isIn = (table: number) =>
      routes.some((one) => one.table === table && sameDestination(one.dst, this.#address));
    if (isIn(RT_TABLE_MAIN) || movedTables(site, 'container', this.#link).some(isIn)) return [];
    const gateway = this.#gateway ? formatIp(this.#gateway) : 'none';
    const what = `Failed to find Gateway ${gateway} for interface ${this.#link}`;
    return [{ text: `${what}: no route to ${formatCidr(networkOf(this.#address))}` }];
  }

  mend(site: Site): boolean {
    const link = site.link('container', this.#link);
    const scope = this.#address.ip.family === 4 ? routeScopes.link : undefined;
    addRoute(site.container.route, { dst: networkOf(this.#address), link, source: this.#address.ip, scope });
    return true;
  }
}
