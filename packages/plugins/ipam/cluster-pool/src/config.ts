import { contains, formatCidr, hostCidr, parseCidr } from '@cni-ts/address/cidr';
import { compareIp, type Ip } from '@cni-ts/address/ip';
import { defaultAgentSocket, type EtcdSettings, type NetworkQuestion } from '@cni-ts/cluster/agent-talk';
import { blocksPath, defaultStateFolder } from '@cni-ts/cluster/blocks-file';
import { stickyOwner } from '@cni-ts/cluster/pin-owner';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { reservationsFolder } from '@cni-ts/ipam-kit/data-dir';
import { ipField } from '@cni-ts/ipam-kit/ip-field';
import { ipamRoute, readIpamRoute } from '@cni-ts/ipam-kit/ipam-route';
import type { Given } from '@cni-ts/ipam-kit/store';
import { dnsOf, networkConfig, readConfigOf } from '@cni-ts/skeleton/config';
import { withoutNul } from '@cni-ts/skeleton/config-text';
import type { RawRequest } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Dns, Route } from '@cni-ts/spec/result';
import { compareVersions } from '@cni-ts/spec/spec-version';
import * as z from 'zod/mini';
import { withFlatFile } from './flat-file.ts';
import { allOf, type Exclusion, exclusions, fieldError, type PoolRange, poolRange } from './pool-range.ts';
import { items, type PoolArgs, readArgs, requested } from './requested.ts';

const defaultCooldown = 60;

/** What whereabouts does with these others do here, or nobody needs to. */
const passedOver = [
  'leader_lease_duration',
  'leader_renew_deadline',
  'leader_retry_period',
  'reconciler_cron_expression',
  'sleep_for_race',
  'kubernetes',
  'log_file',
  'log_level',
  'datastore',
  'optimistic_ipam',
] as const;

/** The fields as they stand in a configuration. Built when first needed: VERSION does without. */
export function schema() {
  const text = z.optional(z.string());
  const switched = z.optional(z.boolean());
  const range = {
    range: text,
    range_start: text,
    range_end: text,
    exclude: z.optional(z.array(z.string())),
    enable_l3: switched,
  };
  const ips = z.optional(z.array(z.string()));
  const any = z.optional(z.unknown());
  return z.object({
    cniVersion: networkConfig.cniVersion,
    ipam: z.optional(
      z.object({
        type: text,
        ...range,
        ipRanges: z.optional(z.array(z.object(range))),
        gateway: text,
        routes: z.optional(z.array(ipamRoute())),
        dns: networkConfig.dns,
        addresses: z.optional(z.array(z.object({ address: text, gateway: text }))),
        network_name: text,
        enable_overlapping_ranges: switched,
        exclude_gateway: switched,
        node_slice_size: text,
        configuration_path: text,
        etcd_host: text,
        etcd_username: text,
        etcd_password: text,
        etcd_key_file: text,
        etcd_cert_file: text,
        etcd_ca_cert_file: text,
        leader_lease_duration: any,
        leader_renew_deadline: any,
        leader_retry_period: any,
        reconciler_cron_expression: any,
        sleep_for_race: any,
        kubernetes: any,
        log_file: any,
        log_level: any,
        datastore: any,
        optimistic_ipam: any,
        cooldown: z.optional(z.int().check(z.minimum(0), z.maximum(86_400))),
        prefix: text,
        sticky: switched,
        dataDir: text,
        stateDir: text,
        agentSocket: text,
      }),
    ),
    runtimeConfig: z.optional(z.object({ ips })),
    args: z.optional(z.object({ cni: z.optional(z.object({ ips })) })),
  });
}

export type Shape = z.output<ReturnType<typeof schema>>;
type Ipam = NonNullable<Shape['ipam']>;

/** What the plugin works by. */
export interface Config {
  /** One address of each goes to every attachment. */
  readonly ranges: readonly PoolRange[];
  /** The address that is asked for of each range, if any. */
  readonly wanted: readonly (Ip | undefined)[];
  /** Everybody gets these besides. */
  readonly fixed: readonly Given[];
  readonly routes: readonly Route[];
  readonly dns: Dns | undefined;
  /** What each question to the agent says of the network. */
  readonly network: NetworkQuestion;
  readonly blocksPath: string;
  readonly agentSocket: string;
  /** Whose the address stays, where it is to stay somebody's. */
  readonly owner: string | undefined;
  /** Members that have no effect. */
  readonly passedOver: readonly string[];
  /** For VALIDATE: exclusions as they were written. */
  readonly exclusions: readonly Exclusion[];
}

/** What of a call the configuration is read with. */
export type Reading = Pick<RawRequest, 'json' | 'network' | 'args' | 'ifname' | 'cniVersion'>;

/** Throws for what ADD cannot work by. */
export function parse(shape: Shape, request: Reading): Config {
  const raw = withFile(shape, request);
  const ipam = raw.ipam;
  if (ipam === undefined) throw new CniError(ErrorCode.invalidConfig, "IPAM config missing 'ipam' key");
  const args = request.args === '' ? {} : readArgs(request.args);
  const own = fixedAddresses(ipam);
  const { ranges, excluded } = rangesOf(ipam, own);
  const lists = { args: raw.args?.cni?.ips, runtimeConfig: raw.runtimeConfig?.ips };
  const { wanted, added } = requested(ranges, args, lists);
  const fixed = added.length === 0 ? own : [...own, ...added];
  refuseSeveral(ranges, fixed, request.cniVersion);
  return {
    ranges,
    wanted,
    fixed,
    routes: ipam.routes?.map((route, i) => readIpamRoute(route, `ipam.routes[${i}]`)) ?? [],
    dns: dnsOf(ipam.dns),
    network: networkOf(ipam, request),
    blocksPath: blocksPath(path(ipam.stateDir, 'stateDir', defaultStateFolder), request.network),
    agentSocket: path(ipam.agentSocket, 'agentSocket', defaultAgentSocket),
    owner: ipam.sticky === true ? podOwner(args, request.ifname) : undefined,
    passedOver: passed(ipam),
    exclusions: excluded,
  };
}

/** What ADD takes as it is, though it cannot be meant. */
export function refuse({ ranges, exclusions: all }: Config): void {
  for (const { field, cidr } of all) {
    const isOfSome = ranges.some(({ set }) => {
      const { subnet } = set[0]!; // a range of its own in each
      return contains(subnet, cidr.ip) || contains(cidr, subnet.ip);
    });
    if (!isOfSome) throw fieldError(field, `${formatCidr(cidr)} lies in no range: nothing is excluded by it`);
  }
  for (const range of ranges) {
    if (allOf(range).length === 0) {
      throw fieldError(`${range.field}.exclude`, 'all of the range is excluded: there is no address to give');
    }
  }
}

/** The same with what the flat file adds. */
function withFile(raw: Shape, { json }: Reading): Shape {
  const { ipam } = raw;
  if (ipam === undefined || ((ipam.configuration_path ?? '') === '' && ipam.type !== 'whereabouts'))
    return raw;
  const merged = withFlatFile(ipam, withoutNul(ipam.configuration_path ?? '', 'ipam.configuration_path'));
  return merged === undefined ? raw : readConfigOf('cluster-pool', schema, { ...json, ipam: merged });
}

function rangesOf(
  ipam: Ipam,
  own: readonly Given[],
): { ranges: PoolRange[]; excluded: readonly Exclusion[] } {
  const top = exclusions(ipam.exclude, 'ipam.exclude');
  const addresses: Exclusion[] = own.map(({ cidr }, i) => ({
    field: `ipam.addresses[${i}]`,
    cidr: hostCidr(cidr.ip),
  }));
  const share = {
    gateway: ipField(ipam.gateway, 'ipam.gateway'),
    exclude: addresses.length === 0 ? top : [...top, ...addresses],
    enableL3: ipam.enable_l3 ?? false,
    sliceSize: ipam.node_slice_size ?? '',
  };
  const ranges: PoolRange[] = [];
  if ((ipam.range ?? '') !== '') ranges.push(poolRange(ipam, 'ipam', share, true));
  let excluded = top;
  const more = ipam.ipRanges ?? [];
  for (let i = 0; i < more.length; i++) {
    const range = poolRange(more[i]!, `ipam.ipRanges[${i}]`, share, false);
    const own = range.exclude.filter((one) => !share.exclude.includes(one));
    if (own.length > 0) excluded = [...excluded, ...own];
    ranges.push(range);
  }
  if (ranges.length === 0) {
    throw fieldError(
      'ipam.range',
      'there is no range to give addresses from',
      'write "range", such as "10.22.0.0/16", or "ipRanges"',
    );
  }
  if (ranges.length > 1) refuseOverlap(ranges);
  return { ranges, excluded };
}

function refuseOverlap(ranges: readonly PoolRange[]): void {
  for (const [i, { set, field }] of ranges.entries()) {
    const one = set[0]!; // a range of its own in each
    for (const other of ranges.slice(0, i)) {
      const before = other.set[0]!; // as above
      if (compareIp(one.start, before.end) > 0 || compareIp(before.start, one.end) > 0) continue;
      throw fieldError(`${field}.range`, `it overlaps with ${other.field}.range`);
    }
  }
}

function fixedAddresses({ addresses }: Ipam): readonly Given[] {
  if (addresses === undefined) return [];
  return addresses.map(({ address = '', gateway }, i) => {
    const field = `ipam.addresses[${i}]`;
    const cidr = parseCidr(address);
    if (!cidr) {
      throw fieldError(
        `${field}.address`,
        `${JSON.stringify(address)} is no address with its prefix, such as "10.22.0.5/16"`,
      );
    }
    return { cidr, gateway: ipField(gateway, `${field}.gateway`) };
  });
}

/** Results before 0.3.0 have one place per family. */
function refuseSeveral(ranges: readonly PoolRange[], fixed: readonly Given[], version: string): void {
  if (ranges.length + fixed.length < 2 || compareVersions(version, '0.3.0') >= 0) return;
  for (const family of [4, 6]) {
    const ofRanges = ranges.filter(({ set }) => set[0]?.subnet.ip.family === family).length;
    const ofFixed = fixed.filter(({ cidr }) => cidr.ip.family === family).length;
    if (ofRanges + ofFixed < 2) continue;
    throw new CniError(
      ErrorCode.invalidConfig,
      `CNI version ${version} does not support more than 1 address per family`,
      `there are several IPv${family} addresses; cniVersion 0.3.0 and later can have them`,
    );
  }
}

function networkOf(ipam: Ipam, request: Reading): NetworkQuestion {
  const question: NetworkQuestion = {
    network: request.network,
    space: ipam.network_name || 'default',
    folder: reservationsFolder(request),
    cooldown: ipam.cooldown ?? defaultCooldown,
  };
  const etcd = etcdOf(ipam);
  if (!ipam.prefix && !etcd) return question;
  return { ...question, ...(ipam.prefix && { prefix: ipam.prefix }), ...(etcd && { etcd }) };
}

/** whereabouts' etcd_host is one place or several, with commas; TLS where anything of it is named. */
function etcdOf(ipam: Ipam): EtcdSettings | undefined {
  const { etcd_host: host } = ipam;
  if (!host) return undefined;
  const { etcd_username: username, etcd_password: password } = ipam;
  const [keyFile, certFile, caFile] = [ipam.etcd_key_file, ipam.etcd_cert_file, ipam.etcd_ca_cert_file];
  const scheme = keyFile || certFile || caFile ? 'https' : 'http';
  return {
    endpoints: items(host).map((one) => (one.includes('://') ? one : `${scheme}://${one}`)),
    ...(username && { username }),
    ...(password && { password }),
    ...(keyFile && { keyFile }),
    ...(certFile && { certFile }),
    ...(caFile && { caFile }),
  };
}

function podOwner(args: PoolArgs, ifname: string): string | undefined {
  // STATUS and GC are of no pod.
  if (ifname === '') return undefined;
  const { K8S_POD_NAMESPACE: namespace = '', K8S_POD_NAME: name = '' } = args;
  if (namespace !== '' && name !== '') return stickyOwner({ namespace, name, ifname });
  throw fieldError(
    'ipam.sticky',
    'CNI_ARGS do not name the pod: K8S_POD_NAMESPACE or K8S_POD_NAME is missing',
    'runtimes for Kubernetes name it (CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"); leave "sticky" out elsewhere',
  );
}

function passed(ipam: Ipam): string[] {
  const found: string[] = [];
  for (let i = 0; i < passedOver.length; i++) {
    const name = passedOver[i]!;
    if (ipam[name] !== undefined) found.push(name);
  }
  if (ipam.enable_overlapping_ranges === false) found.push('enable_overlapping_ranges');
  if (ipam.exclude_gateway === false) found.push('exclude_gateway');
  return found;
}

function path(text: string | undefined, name: string, byDefault: string): string {
  const written = withoutNul(text ?? '', `ipam.${name}`);
  return written === '' ? byDefault : withoutSlashes(written);
}
