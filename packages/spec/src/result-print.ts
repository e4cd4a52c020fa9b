/**
 * Results as the JSON text a plugin prints. Order of members and what is left out when empty follow the reference
 * library, so that outputs can be compared as text: by declaration in the old arrangements, alphabetically in the
 * newest one. What we do not know comes last.
 */
import {
  type Dns,
  type FamilyConfig,
  type Interface,
  type IpConfig,
  type IpConfigWithVersion,
  type Others,
  others,
  type Result010,
  type Result030,
  type Result100,
  type Route,
} from './result.ts';

/** Members whose value is undefined are not written. */
type Json = Record<string, unknown>;

export function json010(result: Result010): Json {
  return withOthers(result, {
    cniVersion: filled(result.cniVersion),
    ip4: result.ip4 && familyConfig(result.ip4),
    ip6: result.ip6 && familyConfig(result.ip6),
    dns: dns(result.dns),
  });
}

export function json030(result: Result030): Json {
  return withOthers(result, {
    cniVersion: filled(result.cniVersion),
    interfaces: filledList(result.interfaces.map(interface030)),
    ips: filledList(result.ips.map(ip030)),
    routes: filledList(result.routes.map(route)),
    dns: dns(result.dns),
  });
}

export function json100(result: Result100): Json {
  return withOthers(result, {
    cniVersion: filled(result.cniVersion),
    dns: dns100(result.dns),
    interfaces: filledList(result.interfaces.map(interface100)),
    ips: filledList(result.ips.map(ip100)),
    routes: filledList(result.routes.map(route100)),
  });
}

/** What was handed on unknown. Its members never have a name that is ours, but for one that is written without regard
 *  to our spelling. */
function withOthers(from: { readonly [others]?: Others }, json: Json): Json {
  const more = from[others];
  if (more === undefined) return json;
  for (const key of Object.keys(more)) {
    // Not by assignment: that would set the prototype where a member is called __proto__.
    Object.defineProperty(json, key, {
      value: more[key],
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return json;
}

function familyConfig(config: FamilyConfig): Json {
  return withOthers(config, {
    ip: config.ip,
    gateway: filled(config.gateway),
    routes: filledList(config.routes.map(route)),
  });
}

function interface030(from: Interface): Json {
  return withOthers(from, { name: from.name, mac: filled(from.mac), sandbox: filled(from.sandbox) });
}

function interface100(from: Interface): Json {
  return withOthers(from, {
    mac: filled(from.mac),
    mtu: nonZero(from.mtu),
    name: from.name,
    pciID: filled(from.pciID),
    sandbox: filled(from.sandbox),
    socketPath: filled(from.socketPath),
  });
}

function ip030(from: IpConfigWithVersion): Json {
  return withOthers(from, {
    version: from.version,
    interface: from.interface,
    address: from.address,
    gateway: filled(from.gateway),
  });
}

function ip100(from: IpConfig): Json {
  const { address, interface: index } = from;
  return withOthers(from, { address, gateway: filled(from.gateway), interface: index });
}

function route(from: Route): Json {
  return withOthers(from, {
    dst: from.dst,
    gw: filled(from.gw),
    mtu: nonZero(from.mtu),
    advmss: nonZero(from.advmss),
    priority: nonZero(from.priority),
    table: from.table,
    scope: from.scope,
  });
}

function route100(from: Route): Json {
  return withOthers(from, {
    advmss: nonZero(from.advmss),
    dst: from.dst,
    gw: filled(from.gw),
    mtu: nonZero(from.mtu),
    priority: nonZero(from.priority),
    scope: from.scope,
    table: from.table,
  });
}

function dns(from: Dns): Json {
  return withOthers(from, {
    nameservers: filledList(from.nameservers),
    domain: filled(from.domain),
    search: filledList(from.search),
    options: filledList(from.options),
  });
}

function dns100(from: Dns): Json | undefined {
  const domain = filled(from.domain);
  const nameservers = filledList(from.nameservers);
  const options = filledList(from.options);
  const search = filledList(from.search);
  if (!(domain || nameservers || options || search || from[others])) return undefined;
  return withOthers(from, { domain, nameservers, options, search });
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function filledList<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list?.length === 0 ? undefined : list;
}

function nonZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}
