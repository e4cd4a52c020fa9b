import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { type RangeSet, type RangeText, rangeSets } from '@cni-ts/ipam-kit/ranges';
import { requestedAddresses } from '@cni-ts/ipam-kit/requested-addresses';
import type { Place } from '@cni-ts/ipam-kit/store';
import { networkConfig } from '@cni-ts/skeleton/config';
import { configText, withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest, Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Route } from '@cni-ts/spec/result';
import * as z from 'zod/mini';

const defaultDataDir = '/var/lib/cni/networks';

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export function schema() {
  const text = z.optional(z.string());
  const number = z.optional(z.int());
  const range = { subnet: text, rangeStart: text, rangeEnd: text, gateway: text };
  const ranges = z.optional(z.array(z.array(z.object(range))));
  const ips = z.optional(z.array(z.string()));
  const route = z.object({
    dst: z.string(),
    gw: text,
    mtu: number,
    advmss: number,
    priority: number,
    table: number,
    scope: number,
  });
  return z.object({
    cniVersion: networkConfig.cniVersion,
    ipam: z.optional(
      z.object({
        ...range,
        ranges,
        routes: z.optional(z.array(route)),
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
export interface Config {
  readonly place: Place;
  /** One address of each goes to every attachment; the position is the cursor's number. */
  readonly sets: readonly RangeSet[];
  readonly requested: readonly Ip[];
  readonly routes: readonly Route[];
  /** '' for none. */
  readonly resolvConf: string;
  /** STATUS fails while a set has no address left. */
  readonly failStatusWhenFull: boolean;
}

/** Throws for what ADD cannot work by. `indexFolder`: where the directory's index is; undefined: it has none. */
export function parse(raw: Shape, request: RawRequest, indexFolder: string | undefined): Config {
  const { ipam } = raw;
  if (ipam === undefined) throw new CniError(ErrorCode.internal, "IPAM config missing 'ipam' key");
  const written = [
    ...sets(raw.runtimeConfig?.ipRanges, 'runtimeConfig.ipRanges'),
    ...(ipam.subnet === undefined ? [] : [[range(ipam, 'ipam')]]),
    ...sets(ipam.ranges, 'ipam.ranges'),
  ];
  return {
    place: placeOf(ipam.dataDir ?? '', request.network, indexFolder),
    requested: requestedAddresses(request.args, raw.args?.cni?.ips ?? [], raw.runtimeConfig?.ips ?? []),
    routes: (ipam.routes ?? []).map(route),
    resolvConf: withoutNul(ipam.resolvConf ?? '', 'ipam.resolvConf'),
    failStatusWhenFull: ipam.failStatusWhenFull ?? false,
    sets: rangeSets(written, raw.cniVersion ?? ''),
  };
}

function placeOf(dataDir: string, network: string, indexFolder: string | undefined): Place {
  const folder = withoutNul(dataDir, 'ipam.dataDir') || defaultDataDir;
  return { directory: `${withoutSlashes(folder)}/${network}`, indexFolder };
}

/** The directory for DEL and GC: they need nothing else of the configuration, and what keeps ADD from working (ranges
 *  that overlap, a bad CNI_ARGS) must not keep an address reserved for ever. */
export function placeToClear({ json, network }: Request<Config>, indexFolder: string | undefined): Place {
  return placeOf(configText(json, 'ipam', 'dataDir'), network, indexFolder);
}

type RangeShape = Pick<NonNullable<Shape['ipam']>, 'subnet' | 'rangeStart' | 'rangeEnd' | 'gateway'>;

function sets(ranges: readonly (readonly RangeShape[])[] = [], path: string): RangeText[][] {
  return ranges.map((set, i) => set.map((one, j) => range(one, `${path}[${i}][${j}]`)));
}

function range({ subnet, rangeStart, rangeEnd, gateway }: RangeShape, path: string): RangeText {
  const network = subnet === undefined ? undefined : cidr(subnet, `${path}.subnet`);
  return {
    subnet: network,
    mapped: network?.ip.family === 4 && subnet?.includes(':') === true,
    rangeStart: address(rangeStart, `${path}.rangeStart`),
    rangeEnd: address(rangeEnd, `${path}.rangeEnd`),
    gateway: address(gateway, `${path}.gateway`),
  };
}

/** Canonical text, host bits kept. */
function route({ dst, gw, ...rest }: { dst: string; gw?: string | undefined }, index: number): Route {
  const gateway = address(gw, `ipam.routes[${index}].gw`);
  return {
    dst: formatCidr(cidr(dst, `ipam.routes[${index}].dst`)),
    ...(gateway && { gw: formatIp(gateway) }),
    ...rest,
  };
}

function cidr(text: string, field: string) {
  const read = parseCidr(text);
  // The sentence is the reference's, which callers match; the details name the field.
  if (read === undefined) throw new CniError(ErrorCode.internal, `invalid CIDR address: ${text}`, field);
  return read;
}

function address(text = '', field: string): Ip | undefined {
  const read = parseIp(text);
  if (text !== '' && read === undefined) {
    throw new CniError(ErrorCode.internal, `invalid IP address: ${text}`, field);
  }
  return read;
}
