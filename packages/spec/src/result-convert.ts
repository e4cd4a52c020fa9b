/**
 * Results from one arrangement to another. Everything is copied deeply: a plugin that changes its prevResult changes
 * nothing else. What an older arrangement cannot hold is lost as in the reference library; members that nobody knows go
 * along with what they are members of.
 */
import { CniError, ErrorCode } from './cni-error.ts';
import { type Arranged, resultTable, type VersionedResult } from './result.ts';
import type { Shape } from './result-codec.ts';
import { copyEntry, others } from './result-table.ts';

/** What has no groups. */
type Flat = Arranged<'0.3.0'> | Arranged<'1.0.0'>;

/** A copy in an arrangement, under the name of one of its versions. Throws CniError 999 for a result without addresses
 *  in the oldest one, which cannot say that. */
export function rearranged<S extends Shape>(
  result: VersionedResult,
  shape: S,
  cniVersion: string,
): Arranged<S> {
  const copy = copyEntry(resultTable, neighbour(result, shape), shape);
  // reason: read or made by the same table
  return Object.assign(copy, { shape, cniVersion }) as unknown as Arranged<S>;
}

/** What has all that the other arrangement wants; what it does not want may still be there. */
function neighbour(result: VersionedResult, shape: Shape): object {
  if (result.shape === shape) return result;
  if (result.shape === '0.1.0') return flat(result);
  if (shape === '0.1.0') return byFamily(result);
  if (shape === '1.0.0') return result;
  return { ...result, ips: result.ips.map((ip) => ({ ...ip, version: versionOf(ip) })) };
}

/** Only the grouping of routes is lost. IPv4 comes first. */
function flat(result: Arranged<'0.1.0'>): object {
  const { ip4, ip6, dns } = result;
  const ips: object[] = [];
  const add = (version: string, family: typeof ip4) => {
    if (family) ips.push({ version, address: family.ip, gateway: family.gateway, [others]: family[others] });
  };
  add('4', ip4);
  add('6', ip6);
  const routes = [...(ip4?.routes ?? []), ...(ip6?.routes ?? [])];
  return { interfaces: [], ips, routes, dns, [others]: result[others] };
}

/** One address per family remains, the first whose `version` says so; routes keep destination and gateway, and go if
 *  their family has no address. Interfaces are lost. */
function byFamily(result: Flat): object {
  const ip4 = familyOf(result, '4');
  const ip6 = familyOf(result, '6');
  if (ip4 || ip6) return { ip4, ip6, dns: result.dns, [others]: result[others] };
  throw new CniError(
    ErrorCode.internal, // the reference's own, though 1 says it better
    'cannot convert: no valid IP addresses',
    'results of spec versions 0.1.0 and 0.2.0 need an IP address: set cniVersion to 0.3.0 or later',
  );
}

function familyOf({ ips, routes }: Flat, version: string) {
  const ip = [...ips].find((candidate) => versionOf(candidate) === version);
  if (!ip) return undefined;
  const own = routes
    .filter(({ dst }) => familyVersion(dst) === version)
    .map((route) => ({ dst: route.dst, gw: route.gw, [others]: route[others] }));
  return {
    ip: ip.address,
    gateway: ip.gateway,
    routes: own.length > 0 ? own : undefined,
    [others]: ip[others],
  };
}

function versionOf(ip: { readonly address: string; readonly version?: string }): string {
  return ip.version ?? familyVersion(ip.address);
}

/** Addresses are canonical here: IPv4-mapped ones have become dotted quads. */
function familyVersion(address: string): string {
  return address.includes(':') ? '6' : '4';
}
