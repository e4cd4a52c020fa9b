import { type Cidr, formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import type { SyscallError } from '@cni-ts/libc/syscall-error';
import { addressFlags, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLinkByIndex } from '@cni-ts/rtnetlink/link';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { IpConfig, Result, Route as ResultRoute } from '@cni-ts/spec/result';
import { Address, SubnetRoute } from './address.ts';
import { eventually } from './eventually.ts';
import { LinkSettings } from './link-settings.ts';
import { LinkUp } from './link-up.ts';
import type { Drift, Resource } from './resource.ts';
import { Route } from './route.ts';
import type { Site } from './site.ts';

/** An address of a result and its gateway, as values. */
export interface Assigned {
  readonly cidr: Cidr;
  readonly gateway: Ip | undefined;
}

/** What differs between the plugins that give a link its addresses. */
export interface AddressingOptions {
  /** The plugin's words for a link that is down. */
  readonly down: string;
  /** Whose the link is (linkOwner), told to it when it comes up. */
  readonly alias?: string | undefined;
  /** What the kernel may have meant when it does not let the link come up. */
  readonly upAdvice?: ((refusal: SyscallError) => string) | undefined;
  /** Where another link of the container has a default route already, that one stays the better one. */
  readonly yieldDefault?: boolean | undefined;
  /** Writes settings of the link before it comes up. Failures are its own business. */
  readonly settings?: ((hasIp6: boolean) => void) | undefined;
  /** See LinkSettings. */
  readonly ignoreRouters?: boolean | undefined;
  /** IPv6 addresses are used at once: IPAM owns them and nobody else is on the wire. */
  readonly noDad?: boolean | undefined;
  /** Nobody is at the other end yet, so duplicate address detection cannot end, and is not waited for. */
  readonly noCarrier?: boolean | undefined;
  /** The subnets of the addresses are not on the link, whatever the kernel says. */
  readonly noSubnets?: boolean | undefined;
  /** What sets the link up, where that takes more than asking once. */
  readonly up?: Resource;
  /** After the addresses, before the routes of the result, which may stand on these. */
  readonly beforeRoutes?: readonly Resource[];
}

/** The address and gateway of one entry of a result, as values. Throws naming the entry. */
export function addressOf(ip: IpConfig, index: number): Assigned {
  const cidr = parseCidr(ip.address);
  if (!cidr) throw new Error(`ips[${index}].address: invalid CIDR address: ${ip.address}`);
  const gateway = ip.gateway === undefined ? undefined : parseIp(ip.gateway);
  if (ip.gateway !== undefined && !gateway)
    throw new Error(`ips[${index}].gateway: invalid IP address: ${ip.gateway}`);
  return { cidr, gateway };
}

/** The addresses that a result gives to the link, or to no link in particular. */
export function assignedTo(ifname: string, result: Result): Assigned[] {
  return entriesOf(ifname, result).map(addressOf);
}

/** The same as they stand there. */
export function entriesOf(ifname: string, { ips = [], interfaces = [] }: Result): IpConfig[] {
  return ips.filter(({ interface: at }) => {
    const owner = at === undefined ? undefined : interfaces[at];
    return !owner || owner.name === ifname;
  });
}

/**
 * What IPAM decided for the container's link: settings, addresses in order, link up, then routes. A route without gateway
 * gets the first gateway of its family; without any it goes straight to the link.
 */
export function addressing(ifname: string, result: Result, options: AddressingOptions): Resource[] {
  const assigned = assignedTo(ifname, result);
  const hasIp6 = assigned.some(({ cidr }) => cidr.ip.family === 6);
  const gateways = {
    4: assigned.find(({ gateway }) => gateway?.family === 4)?.gateway,
    6: assigned.find(({ gateway }) => gateway?.family === 6)?.gateway,
  };
  const all: Resource[] = [
    new LinkSettings({ link: ifname, hasIp6, ignoreRouters: options.ignoreRouters, more: options.settings }),
  ];
  for (const { cidr } of assigned) {
    all.push(new Address({ at: 'container', link: ifname, cidr, noDad: options.noDad }));
  }
  all.push(options.up ?? new LinkUp('container', ifname, options.down, options.alias, options.upAdvice));
  if (!options.noSubnets)
    for (const { cidr, gateway } of assigned) all.push(new SubnetRoute(ifname, cidr, gateway));
  if (gateways[6] && !options.noDad && !options.noCarrier) all.push(new Settled(ifname));
  all.push(...(options.beforeRoutes ?? []));
  for (const [i, route] of (result.routes ?? []).entries()) {
    all.push(routeOf(ifname, route, i, gateways, options.yieldDefault && isFirstDefault(result, i)));
  }
  return all;
}

/** A second one beside it is of the same link. */
function isFirstDefault({ routes = [] }: Result, at: number): boolean {
  const dst = routes[at]?.dst ?? '';
  return dst.endsWith('/0') && !routes.slice(0, at).some((one) => one.dst === dst);
}

function routeOf(
  ifname: string,
  route: ResultRoute,
  i: number,
  gateways: Record<4 | 6, Ip | undefined>,
  yields: boolean | undefined,
): Route {
  const dst = parseCidr(route.dst);
  if (!dst) throw new Error(`routes[${i}].dst: invalid CIDR address: ${route.dst}`);
  const given = route.gw === undefined ? undefined : parseIp(route.gw);
  if (route.gw !== undefined && !given) throw new Error(`routes[${i}].gw: invalid IP address: ${route.gw}`);
  const gateway = given ?? gateways[dst.ip.family];
  if (gateway && gateway.family !== dst.ip.family) {
    const what = `failed to add route '${formatCidr(dst)} via ${formatIp(gateway)} dev ${ifname}'`;
    throw new Error(`${what}: gateway, source, and destination ip are not the same IP family`);
  }
  const { scope, table, priority } = route;
  const advice = (refusal: SyscallError) => (gateway ? gatewayAdvice(refusal, route, i, gateway) : '');
  const at = 'container';
  return new Route({
    at,
    link: ifname,
    dst,
    gateway,
    anyGateway: !given,
    scope,
    table,
    priority,
    yields,
    advice,
  });
}

/** Which field of the result (that is, of the `ipam` section) the kernel means by a gateway that is on no link. */
function gatewayAdvice({ code, message }: SyscallError, { gw }: ResultRoute, i: number, gateway: Ip): string {
  // For IPv4, IPv6, and newer kernels.
  if (code !== 'ENETUNREACH' && code !== 'EHOSTUNREACH' && !message.includes('invalid gateway')) return '';
  const field = gw === undefined ? `the gateway of ips, which routes[${i}] goes by,` : `routes[${i}].gw`;
  return (
    `; ${field} is ${formatIp(gateway)}: it must lie in the subnet of one of the addresses, ` +
    'or an earlier route with scope 253 (link) and no gateway must lead to it'
  );
}

const dadPatience = 5000;

/** That duplicate address detection is through with the link's IPv6 addresses, of which a route needs one. */
class Settled implements Resource {
  readonly #link: string;

  constructor(link: string) {
    this.#link = link;
  }

  describe(): string {
    return `IPv6 addresses of ${this.#link} settled`;
  }

  /** Waits; a duplicate is an error. */
  async ensure(site: Site): Promise<void> {
    const link = site.link('container', this.#link);
    const { route } = site.container;
    const what = `failed to settle addresses for "${link.name}"`;
    const settled = await eventually(
      () => {
        const addresses = listAddresses(route, link, 6);
        const failed = addresses.find(({ flags }) => flags & addressFlags.dadFailed);
        if (failed) {
          const address = formatIp(failed.cidr.ip);
          throw new CniError(
            ErrorCode.tryAgainLater,
            `${what}: link ${link.name} has address ${address} in DADFAILED state`,
            `somebody else on the network has ${address}: its former owner, which has not ended yet, perhaps`,
          );
        }
        return !addresses.some(({ flags }) => flags & addressFlags.tentative);
      },
      dadPatience,
      5,
      50,
    );
    // A link that is not up yet never finishes; that is not the address's fault.
    if (settled || findLinkByIndex(route, link.index)?.operState !== 'up') return;
    throw new Error(`${what}: link ${link.name} still has tentative addresses after 5 seconds`);
  }

  differences(): Drift[] {
    return [];
  }
}
