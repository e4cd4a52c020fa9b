import { type Cidr, contains, equalCidr, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { unlessThere } from '@cni-ts/libc/syscall-error';
import { firstAddress } from '@cni-ts/resource/first-address';
import { addressOf } from '@cni-ts/resource/link-addressing';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import type { Site } from '@cni-ts/resource/site';
import {
  type Address,
  addAddress,
  addressFlags,
  deleteAddress,
  listAddresses,
} from '@cni-ts/rtnetlink/address';
import { getLink, type Link } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { Result, Route } from '@cni-ts/spec/result';
import { isShared, pinMac } from './bridge-link.ts';
import type { Config } from './config.ts';

const defaults = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/**
 * Who gets which address, and who is the gateway: decided from what IPAM gave, without looking at the host. `gateways` are
 * the host's own addresses on the bridge (or VLAN link), IPv4 first: none unless the network is a gateway.
 * `containerIndex`: place of the container's link in the result's interfaces.
 */
export function planAddressing(
  config: Pick<Config, 'isGateway' | 'isDefaultGateway'>,
  ipam: Result,
  containerIndex: number,
) {
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
  const own = routes.find(({ dst, table }) => {
    const to = parseCidr(dst);
    return !table && to?.prefix === 0 && to.ip.family === family;
  });
  if (!own) routes.push({ dst: defaults[family], gw: formatIp(gateway) });
  else own.gw ??= formatIp(gateway);
}

/**
 * The host's address on the network. One that is there already is left alone; another one in its way (any IPv4 address,
 * an overlapping IPv6 network) is an error, or is removed where forceAddress says so. It stays.
 *
 * Before it comes, the link's MAC is pinned (of a bridge that had no ports this is done already): who finds the address
 * there reports a MAC that stays.
 */
export class GatewayAddress implements Resource {
  readonly #link: string;
  readonly #address: Cidr;
  readonly #config: Config;

  /** `link`: the bridge, or its leg in a VLAN. */
  constructor(link: string, address: Cidr, config: Config) {
    this.#link = link;
    this.#address = address;
    this.#config = config;
  }

  describe(): string {
    return `address ${formatCidr(this.#address)} on ${this.#link}`;
  }

  ensure(site: Site): void {
    const { vlan } = this.#config;
    const what = vlan ? 'failed to set vlan interface for bridge with addr' : 'failed to set bridge addr';
    failing(what, () => this.#ensure(site, site.link('host', this.#link)));
  }

  #ensure(site: Site, target: Link): void {
    const address = this.#address;
    const { route } = site.host;
    const present = failing('could not get list of IP addresses', () =>
      listAddresses(route, target, address.ip.family),
    );
    const inTheWay: Cidr[] = [];
    for (const { cidr } of present) {
      if (equalCidr(cidr, address)) return;
      if (conflicts(cidr, address)) inTheWay.push(cidr);
    }
    if (inTheWay.length && !this.#config.forceAddress) {
      throw new Error(
        `"${target.name}" already has an IP address different from ${formatCidr(address)}: ` +
          `${inTheWay.map(formatCidr).join(', ')} (forceAddress replaces it)`,
      );
    }
    // Nothing is taken back once other attachments of the network have come to use the address.
    const change = (cidr: Cidr, work: () => void, back: () => void) =>
      site.request.undo.make(`address ${formatCidr(cidr)} of ${target.name}`, work, () => {
        if (!isShared(site, site.link('host', this.#config.bridge))) back();
      });
    const removing = `could not remove IP address from "${target.name}"`;
    for (const cidr of inTheWay) {
      change(
        cidr,
        () => failing(removing, () => deleteAddress(route, target, cidr)),
        () => unlessThere(() => addAddress(route, target, cidr)),
      );
    }
    pinMac(site.host, getLink(route, target.name));
    failing(`could not add IP address ${formatCidr(address)} to "${target.name}"`, () =>
      // Another attachment of the network may do it meanwhile.
      unlessThere(() =>
        change(
          address,
          // The host is the gateway whatever else claims to be; containers are to reach it at once.
          () => addAddress(route, target, address, address.ip.family === 6 ? addressFlags.nodad : 0),
          () => void deleteAddress(route, target, address),
        ),
      ),
    );
  }

  /** With forceAddress the next network on this bridge may rightly have removed it. */
  differences(site: Site): Drift[] {
    if (this.#config.forceAddress) return [];
    if (this.#present(site).some(({ cidr }) => equalCidr(cidr, this.#address))) return [];
    return [{ text: `Gateway address ${formatCidr(this.#address)} is missing on interface ${this.#link}` }];
  }

  /** The same address with another prefix length is in the way of this one, and nobody else's. */
  mend(site: Site): boolean {
    for (const { cidr } of this.#present(site)) {
      if (!equalIp(cidr.ip, this.#address.ip)) continue;
      deleteAddress(site.host.route, site.link('host', this.#link), cidr);
    }
    return false;
  }

  #present(site: Site): readonly Address[] {
    const link = site.find('host', this.#link);
    return link ? site.addresses('host', link) : [];
  }
}

function conflicts(present: Cidr, wanted: Cidr): boolean {
  if (wanted.ip.family === 4) return true;
  return contains(networkOf(present), wanted.ip) || contains(networkOf(wanted), present.ip);
}
