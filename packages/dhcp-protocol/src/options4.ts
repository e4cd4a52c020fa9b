/**
 * The options of DHCPv4 as one table: reading, writing and the names of the configuration come from it. Numbers are
 * IANA's ("BOOTP Vendor Extensions and DHCP Options"), meanings RFC 2132's unless said otherwise.
 */
import {
  bytes,
  classfulRoutes,
  classlessRoutes,
  ip,
  ips,
  type Kind4,
  names,
  text,
  u8,
  u16,
  u32,
} from './option-kinds4.ts';

export type { StaticRoute4 } from './static-routes4.ts';

/** Payloads by code. */
export type RawOptions4 = Map<number, Uint8Array>;

interface Row<T> {
  readonly code: number;
  readonly kind: Kind4<T>;
  /** What `ipam.request` and `ipam.provide` call it. */
  readonly configured?: string;
}

function row<T>(code: number, kind: Kind4<T>, configured?: string): Row<T> {
  return configured === undefined ? { code, kind } : { code, kind, configured };
}

const table = {
  subnetMask: row(1, ip, 'subnet-mask'),
  routers: row(3, ips, 'routers'),
  dnsServers: row(6, ips, 'domain-name-servers'),
  hostName: row(12, text, 'host-name'),
  domainName: row(15, text, 'domain-name'),
  /** Bytes, of the link. */
  mtu: row(26, u16, 'interface-mtu'),
  broadcastAddress: row(28, ip, 'broadcast-address'),
  staticRoutes: row(33, classfulRoutes, 'static-routes'),
  ntpServers: row(42, ips, 'ntp-servers'),
  requestedAddress: row(50, ip),
  /** Seconds; 0xffffffff is for ever. So are 58 and 59. */
  leaseTime: row(51, u32),
  messageType: row(53, u8),
  serverId: row(54, ip),
  requestList: row(55, bytes),
  /** Why a server said no. */
  message: row(56, text),
  maxMessageSize: row(57, u16),
  renewalTime: row(58, u32),
  rebindingTime: row(59, u32),
  vendorClass: row(60, text, 'vendor-class-identifier'),
  clientId: row(61, bytes, 'dhcp-client-identifier'),
  userClass: row(77, text, 'user-class'),
  /** RFC 3397. */
  domainSearch: row(119, names, 'domain-search'),
  /** RFC 3442: where it is there, 33 and 3 are not looked at. */
  classlessRoutes: row(121, classlessRoutes, 'classless-static-routes'),
  /** 121 before it had a number, in Microsoft's servers. */
  classlessRoutesMicrosoft: row(249, classlessRoutes),
};

export type OptionName4 = keyof typeof table;
export type OptionValues4 = {
  [N in OptionName4]: (typeof table)[N] extends Row<infer T> ? T : never;
};

/** What the option says, or undefined where it is missing or malformed: a wrong length, a prefix above 32, a name that
 *  runs in a circle. Never throws. */
export function readOption4<N extends OptionName4>(
  options: ReadonlyMap<number, Uint8Array>,
  name: N,
): OptionValues4[N] | undefined {
  const { code, kind } = rowOf(name);
  const payload = options.get(code);
  return payload === undefined ? undefined : kind.read(payload);
}

/** Sets the option. Throws RangeError for what cannot be said, such as an address that is none. */
export function writeOption4<N extends OptionName4>(
  options: RawOptions4,
  name: N,
  value: OptionValues4[N],
): void {
  const { code, kind } = rowOf(name);
  options.set(code, kind.write(value));
}

/** The number of an option. */
export function codeOf4(name: OptionName4): number {
  return table[name].code;
}

const codesByConfigured = new Map<string, number>();
for (const { code, configured } of Object.values(table) as Row<unknown>[]) {
  // reason: only the members that do not depend on the kind are looked at
  if (configured !== undefined) codesByConfigured.set(configured, code);
}

/** The number of an option by the name that configurations have for it. */
export function configuredCode4(name: string): number | undefined {
  return codesByConfigured.get(name);
}

function rowOf<N extends OptionName4>(name: N): Row<OptionValues4[N]> {
  return table[name] as unknown as Row<OptionValues4[N]>; // reason: TypeScript does not see it is the row of this name
}
