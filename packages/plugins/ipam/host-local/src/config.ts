import type { Pool } from '@cni-ts/ipam-kit/allocation';
import { cidrField, ipField } from '@cni-ts/ipam-kit/ip-field';
import { ipamRoute, readIpamRoute } from '@cni-ts/ipam-kit/ipam-route';
import { type RangeSet, type RangeText, rangeSets } from '@cni-ts/ipam-kit/ranges';
import { requestedAddresses } from '@cni-ts/ipam-kit/requested-addresses';
import { networkConfig } from '@cni-ts/skeleton/config';
import { withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Route } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export function schema() {
  const text = z.optional(z.string());
  const range = { subnet: text, rangeStart: text, rangeEnd: text, gateway: text };
  const ranges = z.optional(z.array(z.array(z.object(range))));
  const ips = z.optional(z.array(z.string()));
  return z.object({
    cniVersion: networkConfig.cniVersion,
    ipam: z.optional(
      z.object({
        ...range,
        ranges,
        routes: z.optional(z.array(ipamRoute())),
        dataDir: text,
        resolvConf: text,
        failStatusWhenFull: z.optional(z.boolean()),
      }),
    ),
    runtimeConfig: z.optional(z.object({ ipRanges: ranges, ips })),
    args: z.optional(z.object({ cni: z.optional(z.object({ ips })) })),
  });
}

export type Shape = z.output<ReturnType<typeof schema>>;

/** What the plugin works by. */
export interface Config extends Pool {
  readonly routes: readonly Route[];
  /** '' for none. */
  readonly resolvConf: string;
  /** STATUS fails while a set has no address left. */
  readonly failStatusWhenFull: boolean;
}

/** Throws for what ADD cannot work by. */
export function parse(raw: Shape, request: RawRequest): Config {
  const { ipam } = raw;
  if (ipam === undefined) throw new CniError(ErrorCode.internal, "IPAM config missing 'ipam' key");
  const written = writtenSets(raw);
  withoutNul(ipam.dataDir ?? '', 'ipam.dataDir');
  return {
    requested: requestedAddresses(request.args, raw.args?.cni?.ips ?? [], raw.runtimeConfig?.ips ?? []),
    routes: (ipam.routes ?? []).map((route, i) => readIpamRoute(route, `ipam.routes[${i}]`)),
    resolvConf: withoutNul(ipam.resolvConf ?? '', 'ipam.resolvConf'),
    failStatusWhenFull: ipam.failStatusWhenFull ?? false,
    sets: rangeSets(written, raw.cniVersion ?? ''),
  };
}

/** The range sets of a configuration, for who looks at a network from outside. Throws what `parse` would. */
export function rangesOf(raw: Shape): RangeSet[] {
  return rangeSets(writtenSets(raw), raw.cniVersion ?? '');
}

function writtenSets({ ipam = {}, runtimeConfig }: Shape): RangeText[][] {
  return [
    ...sets(runtimeConfig?.ipRanges, 'runtimeConfig.ipRanges'),
    ...(ipam.subnet === undefined ? [] : [[range(ipam, 'ipam')]]),
    ...sets(ipam.ranges, 'ipam.ranges'),
  ];
}

type RangeShape = Pick<NonNullable<Shape['ipam']>, 'subnet' | 'rangeStart' | 'rangeEnd' | 'gateway'>;

function sets(ranges: readonly (readonly RangeShape[])[] = [], path: string): RangeText[][] {
  return ranges.map((set, i) => set.map((one, j) => range(one, `${path}[${i}][${j}]`)));
}

function range({ subnet, rangeStart, rangeEnd, gateway }: RangeShape, path: string): RangeText {
  const network = subnet === undefined ? undefined : cidrField(subnet, `${path}.subnet`);
  return {
    subnet: network,
    mapped: network?.ip.family === 4 && subnet?.includes(':') === true,
    rangeStart: ipField(rangeStart, `${path}.rangeStart`),
    rangeEnd: ipField(rangeEnd, `${path}.rangeEnd`),
    gateway: ipField(gateway, `${path}.gateway`),
  };
}
