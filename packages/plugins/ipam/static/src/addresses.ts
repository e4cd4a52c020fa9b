/** What static works by: addresses of the configuration, CNI_ARGS, `args.cni.ips` and the capability `ips`. */
import { type Cidr, contains, parseCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { ipField } from '@cni-ts/ipam-kit/ip-field';
import { ipamRoute, readIpamRoute } from '@cni-ts/ipam-kit/ipam-route';
import type { Given } from '@cni-ts/ipam-kit/store';
import { dnsOf, networkConfig } from '@cni-ts/skeleton/config';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import { parseCniArgs, stringArg } from '@cni-ts/spec/cni-args';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Dns, Route } from '@cni-ts/spec/result';
import { compareVersions } from '@cni-ts/spec/spec-version';
import * as z from 'zod/mini';

export function schema() {
  const text = z.optional(z.string());
  const ips = z.optional(z.array(z.string()));
  const addresses = z.optional(z.array(z.object({ address: text, gateway: text })));
  const routes = z.optional(z.array(ipamRoute()));
  return z.object({
    cniVersion: networkConfig.cniVersion,
    ipam: z.optional(z.object({ addresses, routes, dns: networkConfig.dns })),
    runtimeConfig: z.optional(z.object({ ips })),
    args: z.optional(z.object({ cni: z.optional(z.object({ ips })) })),
  });
}

export interface Config {
  readonly addresses: readonly Given[];
  readonly routes: readonly Route[];
  readonly dns: Dns | undefined;
}

/**
 * The addresses are `runtimeConfig.ips` if it has any, else `args.cni.ips` if it has any, else those of the configuration
 * followed by those of CNI_ARGS. Every source but the configuration's addresses is read even when another replaces it, so
 * that a mistake there does not wait for the day it counts. Only the configuration and CNI_ARGS can name gateways.
 */
export function parse(raw: z.output<ReturnType<typeof schema>>, request: RawRequest): Config {
  const { ipam } = raw;
  if (ipam === undefined) throw new Error("IPAM config missing 'ipam' key");
  const configured = (ipam.addresses ?? []).map(({ address = '', gateway }, i) => ({
    address,
    gateway: ipField(gateway, `ipam.addresses[${i}].gateway`),
  }));
  const routes = (ipam.routes ?? []).map((route, i) => readIpamRoute(route, `ipam.routes[${i}]`));
  const added = fromCniArgs(request.args);
  const viaArgs = fromList(raw.args?.cni?.ips);
  const viaRuntime = fromList(raw.runtimeConfig?.ips);
  let addresses = viaRuntime.length > 0 ? viaRuntime : viaArgs;
  if (addresses.length === 0) {
    const own = configured.map(({ address, gateway }) => ({
      cidr: cidrIn(address, "the 'address' field is expected to be"),
      gateway,
    }));
    addresses = [...own, ...added];
  }
  if (compareVersions(request.cniVersion, '0.3.0') < 0) refuseSecondOfFamily(addresses, raw.cniVersion ?? '');
  return { addresses, routes, dns: dnsOf(ipam.dns) };
}

function fromList(ips: readonly string[] = []): Given[] {
  const what = "an entry in the 'ips' field is NOT";
  return ips.map((text) => ({ cidr: cidrIn(text, what), gateway: undefined }));
}

/** `IP=10.0.0.1/24,fd00::1/64;GATEWAY=10.0.0.254`: each gateway goes to every address of `IP` whose network it lies
 *  in, the last one stays. Addresses of the configuration keep their own, whatever GATEWAY says. */
function fromCniArgs(text: string): Given[] {
  const args = parseCniArgs(text, { IP: stringArg, GATEWAY: stringArg });
  const cidrs = items(args.IP).map((item) => cidrIn(item.trim(), "the 'ip' field is expected to be"));
  const gateways = items(args.GATEWAY).map((item) => {
    const ip = parseIp(item.trim());
    if (ip) return ip;
    throw new Error(`invalid gateway address: ${item}`);
  });
  return cidrs.map((cidr) => ({ cidr, gateway: gateways.findLast((ip) => contains(cidr, ip)) }));
}

function items(list = ''): string[] {
  return list === '' ? [] : list.split(',');
}

function cidrIn(text: string, what: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr) return cidr;
  throw new Error(`${what} in CIDR notation, got: '${text}'`);
}

/** Results before 0.3.0 have one place per family. */
function refuseSecondOfFamily(addresses: readonly Given[], version: string): void {
  for (const family of [4, 6]) {
    if (addresses.filter(({ cidr }) => cidr.ip.family === family).length < 2) continue;
    throw new CniError(
      ErrorCode.internal,
      `CNI version ${version} does not support more than 1 address per family`,
      `there are several IPv${family} addresses; cniVersion 0.3.0 and later can have them`,
    );
  }
}
