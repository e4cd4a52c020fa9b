/**
 * Results as the JSON text a plugin prints. Order of members and what is left out when empty follow the reference
 * library, so that outputs can be compared as text: by declaration in the old arrangements, alphabetically in the
 * newest one.
 */
import type {
  Dns,
  FamilyConfig,
  Interface,
  IpConfig,
  IpConfigWithVersion,
  Result010,
  Result030,
  Result100,
  Route,
} from './result.ts';

/** Members whose value is undefined are not written. */
type Json = Record<string, unknown>;

export function json010(result: Result010): Json {
  return {
    cniVersion: filled(result.cniVersion),
    ip4: result.ip4 && familyConfig(result.ip4),
    ip6: result.ip6 && familyConfig(result.ip6),
    dns: dns(result.dns),
  };
}

export function json030(result: Result030): Json {
  return {
    cniVersion: filled(result.cniVersion),
    interfaces: filledList(result.interfaces.map(interface030)),
    ips: filledList(result.ips.map(ip030)),
    routes: filledList(result.routes.map(route)),
    dns: dns(result.dns),
  };
}

export function json100(result: Result100): Json {
  return {
    cniVersion: filled(result.cniVersion),
    dns: dns100(result.dns),
    interfaces: filledList(result.interfaces.map(interface100)),
    ips: filledList(result.ips.map(ip100)),
    routes: filledList(result.routes.map(route100)),
  };
}

function familyConfig(config: FamilyConfig): Json {
  return {
    ip: config.ip,
    gateway: filled(config.gateway),
    routes: filledList(config.routes.map(route)),
  };
}

function interface030({ name, mac, sandbox }: Interface): Json {
  return { name, mac: filled(mac), sandbox: filled(sandbox) };
}

function interface100(from: Interface): Json {
  return {
    mac: filled(from.mac),
    mtu: nonZero(from.mtu),
    name: from.name,
    pciID: filled(from.pciID),
    sandbox: filled(from.sandbox),
    socketPath: filled(from.socketPath),
  };
}

function ip030(from: IpConfigWithVersion): Json {
  return {
    version: from.version,
    interface: from.interface,
    address: from.address,
    gateway: filled(from.gateway),
  };
}

function ip100(from: IpConfig): Json {
  return { address: from.address, gateway: filled(from.gateway), interface: from.interface };
}

function route(from: Route): Json {
  return {
    dst: from.dst,
    gw: filled(from.gw),
    mtu: nonZero(from.mtu),
    advmss: nonZero(from.advmss),
    priority: nonZero(from.priority),
    table: from.table,
    scope: from.scope,
  };
}

function route100(from: Route): Json {
  const { advmss, dst, gw, mtu, priority, scope, table } = route(from);
  return { advmss, dst, gw, mtu, priority, scope, table };
}

function dns(from: Dns): Json {
  return {
    nameservers: filledList(from.nameservers),
    domain: filled(from.domain),
    search: filledList(from.search),
    options: filledList(from.options),
  };
}

function dns100(from: Dns): Json | undefined {
  const { domain, nameservers, options, search } = dns(from);
  return domain || nameservers || options || search ? { domain, nameservers, options, search } : undefined;
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
