/**
 * Members of a result, or of an entry in it, that no spec version we know has. They are handed on as they came, through
 * every conversion that keeps the entry. Under a symbol, which no member of a result can be taken for, and which goes
 * along where an entry is spread into another.
 */
export const others: unique symbol = Symbol('others');
export type Others = Readonly<Record<string, unknown>>;

/**
 * What ADD answers. `Result` is the form plugins work with: that of the newest spec. Older spec versions arrange the
 * same facts differently; result-version.ts reads, converts and prints them.
 *
 * Addresses are strings in canonical form (formatIp, formatCidr of @cni-ts/address). An absent member and an empty
 * one mean the same, except where 0 has a meaning of its own.
 */
export interface Result {
  [others]?: Others;
  cniVersion?: string;
  interfaces?: Interface[];
  ips?: IpConfig[];
  routes?: Route[];
  dns?: Dns;
}

export interface Interface {
  [others]?: Others;
  name: string;
  mac?: string;
  /** Bytes. Since spec 1.1.0, like `socketPath` and `pciID`. */
  mtu?: number;
  /** Path of the network namespace; absent for an interface of the host. */
  sandbox?: string;
  socketPath?: string;
  pciID?: string;
}

export interface IpConfig {
  [others]?: Others;
  /** Address of the interface with its network's prefix length; host bits are kept. */
  address: string;
  gateway?: string;
  /** Index into `interfaces`. 0 is the first one; −1 belongs to none. */
  interface?: number;
}

export interface Route {
  [others]?: Others;
  /** Destination with prefix length. */
  dst: string;
  gw?: string;
  mtu?: number;
  advmss?: number;
  priority?: number;
  /** Routing table; 0 is written. */
  table?: number;
  /** 0 global, 253 link, 254 host (linux/rtnetlink.h); 0 is written. */
  scope?: number;
}

export interface Dns {
  [others]?: Others;
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** Results as 0.1.0 and 0.2.0 arrange them: one address per family, routes beneath it. */
export interface Result010 {
  readonly [others]?: Others;
  readonly shape: '0.1.0';
  readonly cniVersion: string;
  readonly ip4?: FamilyConfig;
  readonly ip6?: FamilyConfig;
  readonly dns: Dns;
}

export interface FamilyConfig {
  readonly [others]?: Others;
  readonly ip: string;
  readonly gateway?: string;
  readonly routes: Route[];
}

/** Results as 0.3.0, 0.3.1 and 0.4.0 arrange them; every address says its family. */
export interface Result030 {
  readonly [others]?: Others;
  readonly shape: '0.3.0';
  readonly cniVersion: string;
  /** Name, mac and sandbox only. */
  readonly interfaces: Interface[];
  readonly ips: IpConfigWithVersion[];
  readonly routes: Route[];
  readonly dns: Dns;
}

export interface IpConfigWithVersion extends IpConfig {
  /** "4" or "6" by the spec; kept whatever it says. */
  version: string;
}

/** Results as 1.0.0 and 1.1.0 arrange them: a Result with nothing left open. */
export interface Result100 {
  readonly [others]?: Others;
  readonly shape: '1.0.0';
  readonly cniVersion: string;
  readonly interfaces: Interface[];
  readonly ips: IpConfig[];
  readonly routes: Route[];
  readonly dns: Dns;
}
