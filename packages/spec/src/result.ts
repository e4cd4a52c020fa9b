/**
 * What ADD answers, member by member, for every spec version. Three arrangements of the same facts exist (0.1.0–0.2.0,
 * 0.3.0–0.4.0, 1.0.0–1.1.0); types, reading, conversion and printing follow from these tables (result-table.ts).
 *
 * Addresses are strings in canonical form (formatIp, formatCidr of @cni-ts/address). An absent member and an empty
 * one mean the same, except where 0 has a meaning of its own.
 */
import { amount, cidr, ip, type Shape, text, texts, whole } from './result-codec.ts';
import { type Entry, list, one, table } from './result-table.ts';

/** `Result` is the form plugins work with, that of the newest spec, like what it consists of. */
export interface Result extends Partial<Entry<typeof resultTable, '1.0.0'>> {}
export interface Interface extends Entry<typeof interfaceTable, '1.0.0'> {}
export interface IpConfig extends Entry<typeof ipTable, '1.0.0'> {}
export interface Route extends Entry<typeof routeTable, '1.0.0'> {}
export interface Dns extends Entry<typeof dnsTable, '1.0.0'> {}

/** A result as some spec version arranges it; `shape` is the version that introduced the arrangement. */
export type VersionedResult = { [S in Shape]: Arranged<S> }[Shape];
export type Arranged<S extends Shape> = Readonly<Entry<typeof resultTable, S>> & {
  readonly shape: S;
  readonly cniVersion: string;
};

const dnsTable = table({
  nameservers: { is: texts },
  domain: { is: text },
  search: { is: texts },
  options: { is: texts },
});

/** Since 0.3.0 with all its members, though the old spec's text has two. */
const routeTable = table({
  /** Destination with prefix length. */
  dst: { is: cidr, always: true },
  gw: { is: ip },
  mtu: { is: amount },
  advmss: { is: amount },
  priority: { is: amount },
  /** Routing table; 0 is written. */
  table: { is: whole },
  /** 0 global, 253 link, 254 host (linux/rtnetlink.h); 0 is written. */
  scope: { is: whole },
});

const familyTable = table({
  ip: { is: cidr, always: true },
  gateway: { is: ip },
  routes: { is: list(routeTable) },
});

const ipTable = table({
  /** "4" or "6" by the spec; kept whatever it says. */
  version: { is: text, always: true, in: ['0.3.0'] },
  /** Index into `interfaces`. 0 is the first one; −1 belongs to none. */
  interface: { is: whole },
  /** Address of the interface with its network's prefix length; host bits are kept. */
  address: { is: cidr, always: true },
  gateway: { is: ip },
});

const interfaceTable = table({
  name: { is: text, always: true },
  mac: { is: text },
  /** Path of the network namespace; absent for an interface of the host. */
  sandbox: { is: text },
  /** Bytes. Since spec 1.1.0, like `socketPath` and `pciID`. */
  mtu: { is: amount, in: ['1.0.0'] },
  socketPath: { is: text, in: ['1.0.0'] },
  pciID: { is: text, in: ['1.0.0'] },
});

export const resultTable = table({
  cniVersion: { is: text },
  ip4: { is: one(familyTable), in: ['0.1.0'] },
  ip6: { is: one(familyTable), in: ['0.1.0'] },
  interfaces: { is: list(interfaceTable), always: true, in: ['0.3.0', '1.0.0'] },
  ips: { is: list(ipTable), always: true, in: ['0.3.0', '1.0.0'] },
  routes: { is: list(routeTable), always: true, in: ['0.3.0', '1.0.0'] },
  dns: { is: one(dnsTable), always: true, bare: ['0.1.0', '0.3.0'] },
});
