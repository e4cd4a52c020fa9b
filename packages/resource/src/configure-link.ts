import { type Cidr, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { addAddress, addressFlags, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLinkByIndex, getLink, type Link, setUp } from '@cni-ts/rtnetlink/link';
import { addRoute } from '@cni-ts/rtnetlink/route';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import type { IpConfig, Result, Route } from '@cni-ts/spec/result';
import type { Namespace } from './namespace.ts';
import { setSysctl, trySysctl } from './set-sysctl.ts';

/** What differs between the plugins that give a link its addresses. */
export interface LinkSettings {
  /** The link, where the caller has just made it; else it is looked up. */
  readonly link?: Link | undefined;
  /** Whose the link is (linkOwner): its alias, given to it when it is set up. */
  readonly alias?: string | undefined;
  /** Writes settings of this link before it comes up; `hasIp6`: whether it gets an IPv6 address. */
  readonly before?: ((hasIp6: boolean) => void) | undefined;
  /** Router advertisements count for nothing also where IPAM gives no IPv6 address: who else is on the wire could send
   *  them, and would get the container's traffic. With an IPv6 address of IPAM's they never count. */
  readonly ignoreRouters?: boolean | undefined;
  /** IPv6 addresses are used at once: IPAM owns them and nobody else is on the wire. */
  readonly noDad?: boolean | undefined;
  /** Runs when the link is up and has its addresses, before the routes of the result, which may stand on what it does. */
  readonly beforeRoutes?: ((link: Link) => void) | undefined;
}

/** The address and gateway of one entry of a result, as values. Throws naming the entry. */
export function addressOf(ip: IpConfig, index: number): { cidr: Cidr; gateway: Ip | undefined } {
  const cidr = parseCidr(ip.address);
  if (!cidr) throw new Error(`ips[${index}].address: invalid CIDR address: ${ip.address}`);
  const gateway = ip.gateway === undefined ? undefined : parseIp(ip.gateway);
  if (ip.gateway !== undefined && !gateway)
    throw new Error(`ips[${index}].gateway: invalid IP address: ${ip.gateway}`);
  return { cidr, gateway };
}

/**
 * Gives the container's link what IPAM decided: addresses in order, link up, then routes. A route without gateway
 * gets the first gateway of its family; without any it goes straight to the link. Addresses whose `interface` names
 * another link of the result are skipped over only when they have no index at all, as the reference does.
 *
 * What it adds goes away with the link; the settings of `lo` are put back by `undo`.
 */
export async function configureLink(
  container: Namespace,
  ifname: string,
  result: Result,
  undo: Undo,
  settings: LinkSettings = {},
): Promise<void> {
  if (!result.interfaces?.length) throw new Error('no interfaces to configure');
  const link = settings.link ?? getLink(container.route, ifname);
  const addresses: { cidr: Cidr; gateway: Ip | undefined }[] = [];
  for (const [i, ip] of (result.ips ?? []).entries()) {
    if (ip.interface === undefined) continue;
    if (result.interfaces[ip.interface]?.name !== ifname) {
      throw new Error(
        `failed to add IP addr ${ip.address} to "${ifname}": invalid interface index ${ip.interface} in ips[${i}]`,
      );
    }
    addresses.push(addressOf(ip, i));
  }
  const hasIp6 = addresses.some(({ cidr }) => cidr.ip.family === 6);
  if (hasIp6) checkMtuForIp6(link);
  const ignoreRouters = hasIp6 || settings.ignoreRouters === true;
  if (ignoreRouters || settings.before) {
    container.netns.run(() => {
      settings.before?.(hasIp6);
      if (ignoreRouters) keepToIpam(ifname);
      if (hasIp6) enableIp6(ifname, undo);
    });
  }
  for (const { cidr } of addresses) {
    failing(`failed to add IP addr ${formatCidr(cidr)} to "${ifname}"`, () =>
      addAddress(
        container.route,
        link,
        cidr,
        settings.noDad && cidr.ip.family === 6 ? addressFlags.nodad : 0,
      ),
    );
  }
  failing(`failed to set "${ifname}" UP`, () => setUp(container.route, link, settings.alias));
  const gateways = {
    4: addresses.find(({ gateway }) => gateway?.family === 4)?.gateway,
    6: addresses.find(({ gateway }) => gateway?.family === 6)?.gateway,
  };
  if (gateways[6] && !settings.noDad) await settle(container, link);
  settings.beforeRoutes?.(link);
  for (const [i, route] of (result.routes ?? []).entries()) addOne(container, link, route, i, gateways);
}

function addOne(
  container: Namespace,
  link: Link,
  route: Route,
  i: number,
  gateways: Record<4 | 6, Ip | undefined>,
): void {
  const dst = parseCidr(route.dst);
  if (!dst) throw new Error(`routes[${i}].dst: invalid CIDR address: ${route.dst}`);
  const given = route.gw === undefined ? undefined : parseIp(route.gw);
  if (route.gw !== undefined && !given) throw new Error(`routes[${i}].gw: invalid IP address: ${route.gw}`);
  const gateway = given ?? gateways[dst.ip.family];
  const { scope, table, priority } = route;
  const via = gateway ? ` via ${formatIp(gateway)}` : '';
  const more = `${priority ? ` metric ${priority}` : ''}${table ? ` table ${table}` : ''}`;
  const what = `failed to add route '${formatCidr(dst)}${via} dev ${link.name}${more}'`;
  if (gateway && gateway.family !== dst.ip.family) {
    throw new Error(`${what}: gateway, source, and destination ip are not the same IP family`);
  }
  try {
    addRoute(container.route, { dst, gateway, link, scope, table, priority });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const isGateway = unreachable.has(errnoOf(error) ?? '') || why.includes('invalid gateway');
    const advice = gateway && isGateway ? gatewayAdvice(route, i, gateway) : '';
    throw new Error(`${what}: ${why}${advice}`, { cause: error });
  }
}

/** What the kernel says of a gateway that is on none of its links, for IPv4 and IPv6. */
const unreachable = new Set(['ENETUNREACH', 'EHOSTUNREACH']);

/** Which field of the result (that is, of the `ipam` section) the kernel means. */
function gatewayAdvice({ gw }: Route, i: number, gateway: Ip): string {
  const field = gw === undefined ? `the gateway of ips, which routes[${i}] goes by,` : `routes[${i}].gw`;
  return (
    `; ${field} is ${formatIp(gateway)}: it must lie in the subnet of one of the addresses, ` +
    'or an earlier route with scope 253 (link) and no gateway must lead to it'
  );
}

/** RFC 8200, section 5. Below it the kernel has no IPv6 on the link, and calls an address an invalid argument. */
const leastMtuForIp6 = 1280;

function checkMtuForIp6({ name, mtu }: Link): void {
  if (mtu >= leastMtuForIp6) return;
  throw new Error(
    `"${name}" has mtu ${mtu}, and IPAM gave it an IPv6 address: IPv6 needs an mtu of at least ${leastMtuForIp6}`,
  );
}

/** Addresses and routes are IPAM's to decide: no neighbour's router advertisement adds to them (CVE-2020-10749). To be
 *  said before the link is up, for it asks for one at once. */
function keepToIpam(ifname: string): void {
  trySysctl(`net/ipv6/conf/${ifname}/accept_ra`, '0');
  trySysctl(`net/ipv6/conf/${ifname}/autoconf`, '0');
}

/** A namespace with IPv6 switched off gets it for `lo` and this link, since an IPv6 address was asked for. */
function enableIp6(ifname: string, undo: Undo): void {
  for (const name of ['lo', ifname]) {
    const key = `net/ipv6/conf/${name}/disable_ipv6`;
    failing(`failed to enable IPv6 for interface "${name}" (${key}=1)`, () =>
      setSysctl(key, '0', name === 'lo' ? undo : undefined),
    );
  }
  // Otherwise the kernel forgets IPv6 addresses whenever the link goes down.
  failing(`failed to enable keep_addr_on_down for interface "${ifname}"`, () =>
    setSysctl(`net/ipv6/conf/${ifname}/keep_addr_on_down`, '1'),
  );
}

const dadPatience = 5000;

/** Waits until duplicate address detection is through with the link's IPv6 addresses; a duplicate is an error. */
async function settle(container: Namespace, link: Link): Promise<void> {
  const until = performance.now() + dadPatience;
  const what = `failed to settle addresses for "${link.name}"`;
  for (let pause = 5; ; pause = Math.min(50, pause * 2)) {
    const addresses = listAddresses(container.route, link, 6);
    const failed = addresses.find(({ flags }) => flags & addressFlags.dadFailed);
    if (failed) {
      throw new Error(
        `${what}: link ${link.name} has address ${formatIp(failed.cidr.ip)} in DADFAILED state`,
      );
    }
    if (!addresses.some(({ flags }) => flags & addressFlags.tentative)) return;
    if (performance.now() > until) {
      // A link that is not up yet never finishes; that is not the address's fault.
      if (findLinkByIndex(container.route, link.index)?.operState !== 'up') return;
      throw new Error(`${what}: link ${link.name} still has tentative addresses after 5 seconds`);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Network address plus one: what is taken as gateway where IPAM names none. */
export function firstAddress(cidr: Cidr): Ip {
  const { bytes } = networkOf(cidr).ip;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = (bytes[i]! + 1) & 0xff;
    if (bytes[i] !== 0) break;
  }
  return { family: cidr.ip.family, bytes };
}
