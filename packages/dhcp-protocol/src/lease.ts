/** What a lease gives to a CNI result. */
import { parseIp } from '@cni-ts/address/ip';
import type { Dns, IpConfig, Route } from '@cni-ts/spec/result';
import { noAddress4 } from './address-bytes.ts';
import { isDomainName } from './domain-names.ts';
import { type Lease4, leaseOption4 } from './lease4.ts';
import type { Lease6 } from './lease6.ts';
import type { StaticRoute4 } from './options4.ts';
import { classPrefix } from './static-routes4.ts';

/** The parts of a result; only what the lease has. */
export interface LeaseResult {
  readonly ip: IpConfig;
  /** On-link ones first, so that a default route through one of them can be installed. */
  readonly routes: Route[];
  /** Nameservers, domain, search: whatever of it the server sent; undefined if nothing. */
  readonly dns?: Dns;
  /** Bytes, 68 or more. */
  readonly mtu?: number;
  readonly ntp?: string[];
}

export interface Result4Options {
  /** Set on every route when it is not 0. */
  readonly priority?: number;
  /** Takes the mask of the address's class where the ACK has none; by default that is refused, as the reference does. */
  readonly classMask?: boolean;
}

/** RFC 791; RFC 2132, section 5.1. */
const leastMtu4 = 68;
/** RFC 8200, section 5. */
const leastMtu6 = 1280;
const scopeLink = 253;

/** Throws Error `DHCP option Subnet Mask not found in DHCPACK`, the reference's words. */
export function leaseResult4(lease: Lease4, options: Result4Options = {}): LeaseResult {
  const gateway = leaseOption4(lease, 'routers')?.[0];
  const ip: IpConfig = { address: addressOf(lease, options.classMask === true) };
  if (gateway !== undefined) ip.gateway = gateway;
  const mtu = leaseOption4(lease, 'mtu');
  const ntp = leaseOption4(lease, 'ntpServers');
  const dns = dns4(lease);
  return {
    ip,
    routes: withPriority(routes4(lease, gateway), options.priority),
    ...(dns !== undefined && { dns }),
    ...(mtu !== undefined && mtu >= leastMtu4 && { mtu }),
    ...(ntp !== undefined && { ntp }),
  };
}

/** A mask that is no prefix is written as hex, as the reference prints it. */
function addressOf(lease: Lease4, classMask: boolean): string {
  const mask = parseIp(leaseOption4(lease, 'subnetMask') ?? '')?.bytes;
  if (mask !== undefined) return `${lease.address}/${prefixOf(mask)}`;
  if (!classMask) throw new Error('DHCP option Subnet Mask not found in DHCPACK');
  return `${lease.address}/${classPrefix(Number.parseInt(lease.address, 10))}`;
}

function prefixOf(mask: Uint8Array): number | string {
  let prefix = 0;
  let over = false;
  for (let bit = 0; bit < 32; bit++) {
    const set = (mask[bit >> 3]! & (0x80 >> (bit & 7))) !== 0;
    if (set && over) return maskText(mask);
    if (set) prefix++;
    else over = true;
  }
  return prefix;
}

function maskText(mask: Uint8Array): string {
  let text = '';
  for (let i = 0; i < 4; i++) text += mask[i]!.toString(16).padStart(2, '0');
  return text;
}

/** Option 121, or 249 where it is not there, stands for 33 and the router's default route (RFC 3442). */
function routes4(lease: Lease4, gateway: string | undefined): Route[] {
  const classless = leaseOption4(lease, 'classlessRoutes') ?? leaseOption4(lease, 'classlessRoutesMicrosoft');
  if (classless !== undefined) {
    const direct = classless.filter((one) => one.gateway === noAddress4);
    return [...direct, ...classless.filter((one) => one.gateway !== noAddress4)].map(classlessRoute);
  }
  const routes: Route[] = (leaseOption4(lease, 'staticRoutes') ?? []).map((one) => ({
    dst: one.destination,
    gw: one.gateway,
  }));
  if (gateway !== undefined) routes.push({ dst: '0.0.0.0/0', gw: gateway });
  return routes;
}

function classlessRoute({ destination, gateway }: StaticRoute4): Route {
  const route: Route = { dst: destination, gw: gateway };
  if (gateway === noAddress4) route.scope = scopeLink;
  return route;
}

function withPriority(routes: Route[], priority = 0): Route[] {
  return priority === 0 ? routes : routes.map((route) => ({ ...route, priority }));
}

/** What ends up in a resolv.conf is an address or a name, or it is left out. Some servers put the search list into the
 *  domain's name, a space between each two. */
function dns4(lease: Lease4): Dns | undefined {
  const words = (leaseOption4(lease, 'domainName') ?? '').split(' ');
  const names = words.map(withoutLastDot).filter(isDomainName);
  const [domain] = names;
  const search = leaseOption4(lease, 'domainSearch') ?? (names.length > 1 ? names : []);
  return dnsOf(leaseOption4(lease, 'dnsServers') ?? [], search, domain);
}

function withoutLastDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function dnsOf(nameservers: readonly string[], search: readonly string[], domain?: string): Dns | undefined {
  const dns: Dns = {};
  const usable = nameservers.filter((one) => one !== noAddress4 && one !== '::');
  if (usable.length > 0) dns.nameservers = usable;
  if (domain !== undefined) dns.domain = domain;
  if (search.length > 0) dns.search = [...search];
  return Object.keys(dns).length === 0 ? undefined : dns;
}

export interface Result6Options {
  readonly priority?: number;
  /** From router advertisements: DHCPv6 knows neither prefix length nor router. */
  readonly prefix?: number;
  readonly gateway?: string;
  readonly mtu?: number;
  /** Where the lease has none. */
  readonly dns?: Dns;
}

/** The address is a /128 unless `prefix` says otherwise; a default route where there is a gateway. */
export function leaseResult6(lease: Lease6, options: Result6Options = {}): LeaseResult {
  const { gateway, mtu, prefix = 128 } = options;
  const ip: IpConfig = { address: `${lease.address}/${prefix}` };
  if (gateway !== undefined) ip.gateway = gateway;
  const routes: Route[] = gateway === undefined ? [] : [{ dst: '::/0', gw: gateway }];
  const dns = dnsOf(lease.dns, lease.search) ?? options.dns;
  return {
    ip,
    routes: withPriority(routes, options.priority),
    ...(dns !== undefined && { dns }),
    ...(mtu !== undefined && mtu >= leastMtu6 && { mtu }),
    ...(lease.ntp.length > 0 && { ntp: [...lease.ntp] }),
  };
}
