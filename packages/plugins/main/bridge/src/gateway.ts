import { type Cidr, contains, formatCidr, networkOf, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip } from '@cni-ts/address/ip';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { addressOf, firstAddress } from '@cni-ts/resource/configure-link';
import type { Namespace } from '@cni-ts/resource/namespace';
import { addAddress, addressFlags, deleteAddress, listAddresses } from '@cni-ts/rtnetlink/address';
import { findLinkByIndex, type Link, setMac } from '@cni-ts/rtnetlink/link';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import type { IpConfig, Result, Route } from '@cni-ts/spec/result';

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

/**
 * Gives the host its address on the network. An address that is there already is left alone; another one in its way
 * (any IPv4 address, an overlapping IPv6 network) is an error, or is removed when `force` says so.
 *
 * The link's MAC is pinned to what it was before this attachment's port came: a bridge without an address of its own
 * takes the lowest MAC of its ports, and neighbours would lose it whenever that port leaves.
 *
 * `isShared`: whether other attachments of the network have come to use the address, when this one fails.
 */
export function ensureGatewayAddress(
  host: Namespace,
  target: Link,
  gateway: Cidr,
  force: boolean,
  undo: Undo,
  isShared: () => boolean,
): void {
  const present = failing('could not get list of IP addresses', () =>
    listAddresses(host.route, target, gateway.ip.family),
  );
  const inTheWay: Cidr[] = [];
  for (const { cidr } of present) {
    if (cidr.prefix === gateway.prefix && equalIp(cidr.ip, gateway.ip)) return;
    if (conflicts(cidr, gateway)) inTheWay.push(cidr);
  }
  if (inTheWay.length && !force) {
    throw new Error(
      `"${target.name}" already has an IP address different from ${formatCidr(gateway)}: ` +
        `${inTheWay.map(formatCidr).join(', ')} (forceAddress replaces it)`,
    );
  }
  for (const cidr of inTheWay) {
    undo.make(
      `address ${formatCidr(cidr)} of ${target.name}`,
      () =>
        failing(`could not remove IP address from "${target.name}"`, () =>
          deleteAddress(host.route, target, cidr),
        ),
      () => {
        if (!isShared()) addUnlessThere(host, target, cidr);
      },
    );
  }
  failing(`could not add IP address ${formatCidr(gateway)} to "${target.name}"`, () =>
    add(host, target, gateway, undo, isShared),
  );
  failing("could not set bridge's mac", () => pinMac(host, target));
}

function add(host: Namespace, target: Link, gateway: Cidr, undo: Undo, isShared: () => boolean): void {
  try {
    undo.make(
      `address ${formatCidr(gateway)} of ${target.name}`,
      // The host is the gateway whatever else claims to be; containers are to reach it at once.
      () => addAddress(host.route, target, gateway, gateway.ip.family === 6 ? addressFlags.nodad : 0),
      () => {
        if (!isShared()) deleteAddress(host.route, target, gateway);
      },
    );
  } catch (error) {
    // Another attachment of the network did it meanwhile.
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

function addUnlessThere(host: Namespace, target: Link, cidr: Cidr): void {
  try {
    addAddress(host.route, target, cidr);
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
