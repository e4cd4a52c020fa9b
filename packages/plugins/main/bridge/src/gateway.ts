import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { firstAddress } from '@cni-ts/resource/first-address';
import { addressOf } from '@cni-ts/resource/link-addressing';
import type { Namespace } from '@cni-ts/resource/namespace';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import { addAddress, addressFlags, deleteAddress, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLinkByIndex, type Link, setMac } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { IpConfig, Result, Route } from '@cni-ts/spec/result';
import { isShared } from './bridge-link.ts';

/** Who gets which address, and who is the gateway: decided from what IPAM gave, without looking at the host. */
export interface Addressing {
  readonly ips: IpConfig[];
  readonly routes: Route[];
  /** The host's own addresses on the bridge (or VLAN link): IPv4 first. Empty unless the network is a gateway. */
  readonly gateways: readonly Cidr[];
}

const defaults = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/** `containerIndex`: place of the container's link in the result's interfaces. */
export function planAddressing(
  config: { readonly isGateway: boolean; readonly isDefaultGateway: boolean },
  ipam: Result,
  containerIndex: number,
): Addressing {
  const routes = (ipam.routes ?? []).map((route) => ({ ...route }));
  const gateways: Record<4 | 6, Cidr[]> = { 4: [], 6: [] };
  const hasDefault = new Set<4 | 6>();
  const ips = (ipam.ips ?? []).map((ip, i) => {
    const { cidr, gateway: given } = addressOf(ip, i);
    const { family } = cidr.ip;
    const gateway = given ?? (config.isGateway ? firstAddress(cidr) : undefined);
    if (gateway && config.isGateway) gateways[family].push({ ip: gateway, prefix: cidr.prefix });
    if (gateway && config.isDefaultGateway && !hasDefault.has(family)) {
      hasDefault.add(family);
      ensureDefaultRoute(routes, family, gateway);
    }
    return { ...ip, ...(gateway ? { gateway: formatIp(gateway) } : {}), interface: containerIndex };
  });
  return { ips, routes, gateways: [...gateways[4], ...gateways[6]] };
}

/**
 * One default route per family. One that IPAM gave stays; without a gateway of its own it gets this one, since a
 * second default route beside it would be a duplicate. A default route in another table is another matter.
 */
function ensureDefaultRoute(routes: Route[], family: 4 | 6, gateway: Ip): void {
  const own = routes.find((route) => isDefault(route, family) && !route.table);
  if (!own) routes.push({ dst: defaults[family], gw: formatIp(gateway) });
  else own.gw ??= formatIp(gateway);
}

function isDefault(route: Route, family: 4 | 6): boolean {
  const dst = parseCidr(route.dst);
  return dst?.prefix === 0 && dst.ip.family === family;
}

export interface GatewayWant {
  /** Name of the link that carries it: the bridge, or its leg in a VLAN. */
  readonly link: string;
  readonly bridge: string;
  readonly address: Cidr;
  /** Others in its way are removed; the next network on this bridge may do that with this one. */
  readonly force: boolean;
  /** What the error begins with. */
  readonly failure: string;
}

/**
 * The host's address on the network. One that is there already is left alone; another one in its way (any IPv4 address,
 * an overlapping IPv6 network) is an error, or is removed when `force` says so. It stays.
 *
 * The link's MAC is pinned to what it was before this attachment's port came: a bridge without an address of its own
 * takes the lowest MAC of its ports, and neighbours would lose it whenever that port leaves. So `target` is to be the
 * link as it was seen then.
 */
export class GatewayAddress implements Resource {
  readonly #want: GatewayWant;

  constructor(want: GatewayWant) {
    this.#want = want;
  }

  describe(): string {
    return `address ${formatCidr(this.#want.address)} on ${this.#want.link}`;
  }

  ensure(site: Site): void {
    failing(this.#want.failure, () => this.#ensure(site, site.link('host', this.#want.link)));
  }

  #ensure(site: Site, target: Link): void {
    const { address, force } = this.#want;
    const { route } = site.host;
    const present = failing('could not get list of IP addresses', () =>
      listAddresses(route, target, address.ip.family),
    );
    const inTheWay: Cidr[] = [];
    for (const { cidr } of present) {
      if (cidr.prefix === address.prefix && equalIp(cidr.ip, address.ip)) return;
      if (conflicts(cidr, address)) inTheWay.push(cidr);
    }
    if (inTheWay.length && !force) {
      throw new Error(
        `"${target.name}" already has an IP address different from ${formatCidr(address)}: ` +
          `${inTheWay.map(formatCidr).join(', ')} (forceAddress replaces it)`,
      );
    }
    // Whether other attachments of the network have come to use the address, when this one fails.
    const unlessShared = (step: () => void) => () => {
      if (!isShared(site.host, site.link('host', this.#want.bridge), site.owner)) step();
    };
    for (const cidr of inTheWay) {
      site.request.undo.make(
        `address ${formatCidr(cidr)} of ${target.name}`,
        () =>
          failing(`could not remove IP address from "${target.name}"`, () =>
            deleteAddress(route, target, cidr),
          ),
        unlessShared(() => unlessThere(() => addAddress(route, target, cidr))),
      );
    }
    failing(`could not add IP address ${formatCidr(address)} to "${target.name}"`, () =>
      // Another attachment of the network may do it meanwhile.
      unlessThere(() =>
        site.request.undo.make(
          `address ${formatCidr(address)} of ${target.name}`,
          // The host is the gateway whatever else claims to be; containers are to reach it at once.
          () => addAddress(route, target, address, address.ip.family === 6 ? addressFlags.nodad : 0),
          unlessShared(() => void deleteAddress(route, target, address)),
        ),
      ),
    );
    failing("could not set bridge's mac", () => pinMac(site.host, target));
  }

  differences(site: Site): Drift[] {
    const { link: name, address, force } = this.#want;
    if (force) return [];
    const link = site.find('host', name);
    const present = link ? site.addresses('host', link) : [];
    if (present.some(({ cidr }) => cidr.prefix === address.prefix && equalIp(cidr.ip, address.ip))) return [];
    return [{ text: `Gateway address ${formatCidr(address)} is missing on interface ${name}` }];
  }

  /** The same address with another prefix length is in the way of this one, and nobody else's. */
  mend(site: Site): boolean {
    const { link: name, address } = this.#want;
    const link = site.find('host', name);
    for (const { cidr } of link ? site.addresses('host', link) : []) {
      if (link && equalIp(cidr.ip, address.ip)) deleteAddress(site.host.route, link, cidr);
    }
    return false;
  }
}

function unlessThere(add: () => void): void {
  try {
    add();
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function conflicts(present: Cidr, wanted: Cidr): boolean {
  if (wanted.ip.family === 4) return true;
  return contains(networkOf(present), wanted.ip) || contains(networkOf(wanted), present.ip);
}

/** A bridge whose last port left has the MAC 00:00:00:00:00:00, which cannot be set: then the present one is pinned. */
function pinMac(host: Namespace, target: Link): void {
  const isSet = (mac: Uint8Array | undefined) => mac?.some((byte) => byte !== 0);
  const mac = isSet(target.mac) ? target.mac : findLinkByIndex(host.route, target.index)?.mac;
  if (mac && isSet(mac)) setMac(host.route, target, mac);
}
