/** The options of DHCPv4 as one table: what reading, writing and the configuration's names come from. */

/** Payloads by code. */
export type RawOptions4 = Map<number, Uint8Array>;

/** A route by option 121, 249 or 33. `gateway` 0.0.0.0 means: on the link. */
export interface StaticRoute4 {
  /** `10.0.0.0/8`; bits beyond the prefix are kept as they came. */
  readonly destination: string;
  readonly gateway: string;
}

export interface OptionValues4 {
  subnetMask: string;
  routers: string[];
  dnsServers: string[];
  hostName: string;
  domainName: string;
  mtu: number;
  broadcastAddress: string;
  staticRoutes: StaticRoute4[];
  ntpServers: string[];
  requestedAddress: string;
  /** Seconds; 0xffffffff is for ever. */
  leaseTime: number;
  messageType: number;
  serverId: string;
  requestList: Uint8Array;
  message: string;
  maxMessageSize: number;
  renewalTime: number;
  rebindingTime: number;
  vendorClass: string;
  clientId: Uint8Array;
  userClass: string;
  domainSearch: string[];
  classlessRoutes: StaticRoute4[];
  classlessRoutesMicrosoft: StaticRoute4[];
}
export type OptionName4 = keyof OptionValues4;

/** What the option says, or undefined where it is missing or malformed: a wrong length, a prefix above 32, a name that
 *  runs in a circle. Never throws. */
export function readOption4<N extends OptionName4>(
  _options: ReadonlyMap<number, Uint8Array>,
  _name: N,
): OptionValues4[N] | undefined {
  throw new Error('not written yet');
}

/** Sets the option. Throws RangeError for what cannot be said, such as an address that is none. */
export function writeOption4<N extends OptionName4>(
  _options: RawOptions4,
  _name: N,
  _value: OptionValues4[N],
): void {
  throw new Error('not written yet');
}

/** The number of an option. */
export function codeOf4(_name: OptionName4): number {
  throw new Error('not written yet');
}
