/**
 * Results from one arrangement to the neighbouring one. Everything is copied deeply: a plugin that changes its
 * prevResult changes nothing else. What an older arrangement cannot hold is lost as in the reference library; members
 * that nobody knows go along with what they are members of.
 */
import { CniError, ErrorCode } from './cni-error.ts';
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

/** Only the grouping of routes is lost. */
export function from010to030(result: Result010): Result030 {
  const { ip4, ip6 } = result;
  return {
    shape: '0.3.0',
    cniVersion: '0.4.0',
    interfaces: [],
    ips: [...(ip4 ? [withVersion(ip4, '4')] : []), ...(ip6 ? [withVersion(ip6, '6')] : [])],
    routes: [...(ip4?.routes ?? []), ...(ip6?.routes ?? [])].map(copyRoute),
    dns: copyDns(result.dns),
    ...othersOf(result),
  };
}

/**
 * One address per family remains, the first whose `version` says so; routes keep destination and gateway, and go if
 * their family has no address. Interfaces are lost. Throws when no address remains: the old form cannot say that.
 */
export function from030to010(result: Result030): Result010 {
  const ip4 = familyOf(result, '4');
  const ip6 = familyOf(result, '6');
  if (ip4 === undefined && ip6 === undefined) {
    throw new CniError(
      // The reference's own, though 1 says it better.
      ErrorCode.internal,
      'cannot convert: no valid IP addresses',
      'results of spec versions 0.1.0 and 0.2.0 need an IP address: set cniVersion to 0.3.0 or later',
    );
  }
  return {
    shape: '0.1.0',
    cniVersion: '0.2.0',
    ...(ip4 && { ip4 }),
    ...(ip6 && { ip6 }),
    dns: copyDns(result.dns),
    ...othersOf(result),
  };
}

/** Only the text of `version` is lost; the address says its family itself. */
export function from030to100(result: Result030): Result100 {
  return {
    shape: '1.0.0',
    cniVersion: '1.1.0',
    interfaces: result.interfaces.map(copyInterface),
    ips: result.ips.map(copyIp),
    routes: result.routes.map(copyRoute),
    dns: copyDns(result.dns),
    ...othersOf(result),
  };
}

/** Interfaces lose mtu, socketPath and pciID. Routes keep all members, though the old spec's text has two. */
export function from100to030(result: Result100): Result030 {
  return {
    shape: '0.3.0',
    cniVersion: '0.4.0',
    interfaces: result.interfaces.map((from) => ({
      name: from.name,
      ...(from.mac !== undefined && { mac: from.mac }),
      ...(from.sandbox !== undefined && { sandbox: from.sandbox }),
      ...othersOf(from),
    })),
    ips: result.ips.map((ip) => ({ version: isIpv4(ip.address) ? '4' : '6', ...copyIp(ip) })),
    routes: result.routes.map(copyRoute),
    dns: copyDns(result.dns),
    ...othersOf(result),
  };
}

/** The same arrangement under another version's name. */
export function relabel<R extends Result010 | Result030 | Result100>(result: R, cniVersion: string): R {
  return { ...copy(result), cniVersion };
}

/** A copy of what JSON can say, and of what goes along unknown; the platform's structuredClone leaves symbols out. */
export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (let i = 0; i < value.length; i++) list.push(copy(value[i]));
    return list as T; // reason: the same elements
  }
  const made = { ...value };
  // What is unknown is never changed, so it is shared.
  for (const key in made) if (typeof made[key] === 'object') made[key] = copy(made[key]);
  return made;
}

function othersOf(from: { readonly [others]?: Others }): { [others]?: Others } | undefined {
  const more = from[others];
  return more && { [others]: more };
}

function familyOf(result: Result030, version: '4' | '6'): FamilyConfig | undefined {
  const ip = result.ips.find((candidate) => candidate.version === version);
  if (ip === undefined) return undefined;
  return {
    ip: ip.address,
    ...(ip.gateway !== undefined && { gateway: ip.gateway }),
    routes: result.routes
      .filter((route) => isIpv4(route.dst) === (version === '4'))
      .map((route) => ({
        dst: route.dst,
        ...(route.gw !== undefined && { gw: route.gw }),
        ...othersOf(route),
      })),
    ...othersOf(ip),
  };
}

function withVersion(config: FamilyConfig, version: string): IpConfigWithVersion {
  return {
    version,
    address: config.ip,
    ...(config.gateway !== undefined && { gateway: config.gateway }),
    ...othersOf(config),
  };
}

/** Drops `version`, which the newest form does not have. */
function copyIp(from: IpConfig): IpConfig {
  const { address, gateway, interface: index } = from;
  return {
    address,
    ...(gateway !== undefined && { gateway }),
    ...(index !== undefined && { interface: index }),
    ...othersOf(from),
  };
}

function copyInterface(from: Interface): Interface {
  return { ...from };
}

function copyRoute(from: Route): Route {
  return { ...from };
}

function copyDns(from: Dns): Dns {
  return copy(from);
}

/** Addresses are canonical here: IPv4-mapped ones have become dotted quads. */
function isIpv4(address: string): boolean {
  return !address.includes(':');
}
