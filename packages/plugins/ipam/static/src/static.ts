/** static: hands out the addresses that are written down, in the configuration or by whoever starts the container.
 *
 *  It remembers nothing and reserves nothing, so it never fails for want of an address, and it does not notice when
 *  two containers get the same one: that is its user's to watch. Everything follows from the call itself. */
import { equalIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { ipField } from '@cni-ts/ipam-kit/ip-field';
import { ipamPlugin } from '@cni-ts/ipam-kit/ipam-plugin';
import { ipamRoute, readIpamRoute } from '@cni-ts/ipam-kit/ipam-route';
import type { Given } from '@cni-ts/ipam-kit/store';
import { failOn } from '@cni-ts/resource/drift';
import { networkConfig, readConfig } from '@cni-ts/skeleton/config';
import type { RawRequest, Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Dns, Result, Route } from '@cni-ts/spec/result';
import { compareVersions } from '@cni-ts/spec/spec-version';
import * as z from 'zod/mini';
import { mergeAddresses } from './addresses.ts';

function schema() {
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

interface Config {
  readonly addresses: readonly Given[];
  readonly routes: readonly Route[];
  readonly dns: Dns | undefined;
}

function parse(raw: z.output<ReturnType<typeof schema>>, request: RawRequest): Config {
  const { ipam } = raw;
  if (ipam === undefined) throw new Error("IPAM config missing 'ipam' key");
  const configured = (ipam.addresses ?? []).map(({ address = '', gateway }, i) => ({
    address,
    gateway: ipField(gateway, `ipam.addresses[${i}].gateway`),
  }));
  const routes = (ipam.routes ?? []).map((route, i) => readIpamRoute(route, `ipam.routes[${i}]`));
  const addresses = mergeAddresses({
    configured,
    args: request.args,
    argsIps: raw.args?.cni?.ips ?? [],
    runtimeIps: raw.runtimeConfig?.ips ?? [],
  });
  if (compareVersions(request.cniVersion, '0.3.0') < 0) refuseSecondOfFamily(addresses, raw.cniVersion ?? '');
  return { addresses, routes, dns: ipam.dns as Dns | undefined }; // reason: undefined members are absent ones to Dns
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

function check(request: Request<Config>): void {
  const { config, ifname } = request;
  const { prevResult: present } = readConfig(
    z.object({ prevResult: networkConfig.prevResult }),
    request.json,
  );
  if (present === undefined) throw new Error('Required prevResult missing');
  failOn(differences(config.addresses, request.prevResult ?? {}, ifname));
}

/** Gateways that the result does not have as they are configured. An address that is not in the result at all is
 *  no drift: which of the sources counts may change between ADD and CHECK, since runtimes need not repeat them. */
function differences(addresses: readonly Given[], result: Result, ifname: string): string[] {
  const drift: string[] = [];
  for (const { cidr, gateway } of addresses) {
    const entry = result.ips?.find(({ address }) => sameAddress(address, cidr.ip));
    if (!entry || !gateway) continue;
    const found = entry.gateway === undefined ? undefined : parseIp(entry.gateway);
    if (found && equalIp(found, gateway)) continue;
    drift.push(
      `static: Failed to match addr ${formatIp(cidr.ip)} on interface ${ifname}: ` +
        `its gateway is ${entry.gateway ?? 'none'}, configured is ${formatIp(gateway)}`,
    );
  }
  return drift;
}

function sameAddress(address: string, ip: Ip): boolean {
  const inResult = parseIp(address.replace(/\/.*/, ''));
  return inResult !== undefined && equalIp(inResult, ip);
}

/** `static` alone is a reserved word. */
export const staticPlugin = ipamPlugin({
  type: 'static',
  config: schema,
  parse,
  rest: ({ routes, dns }) => ({ routes: [...routes], ...(dns && { dns }) }),
  choose: ({ addresses }) => addresses,
  check,
});
