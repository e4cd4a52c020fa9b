/** host-local: hands out addresses of ranges written in the configuration and remembers them in files of this host.
 *
 *  Each range set gives one address to every attachment, round robin: a released address rests for a full turn, so
 *  that neighbours' ARP entries and connection tracking forget it. The directory is the reference plugin's, and both
 *  may use it at the same time (store.ts). DEL and CHECK need nothing but the container id and interface name, and DEL
 *  and GC of the configuration nothing but where the directory is. */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { withoutSlashes } from '@cni-ts/invoke/find-plugin';
import { bootTime } from '@cni-ts/ipam-kit/boot-time';
import {
  type Candidate,
  describe,
  type RangeSet,
  type RangeText,
  rangeOf,
  rangeSets,
  sizeOf,
  walk,
} from '@cni-ts/ipam-kit/ranges';
import { requestedAddresses } from '@cni-ts/ipam-kit/requested-addresses';
import {
  entryNames,
  type Owned,
  ownerOf,
  PeekedStore,
  type Place,
  reservedNames,
  Store,
  withStore,
} from '@cni-ts/ipam-kit/store';
import { makeFolder, nearestExisting, requireAccess, statLink } from '@cni-ts/libc/file';
import { networkConfig } from '@cni-ts/skeleton/config';
import { configText, withoutNul } from '@cni-ts/skeleton/config-text';
import {
  type DryRun,
  definePlugin,
  type Plugin,
  type RawRequest,
  type Request,
} from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, toCniError } from '@cni-ts/spec/cni-error';
import type { IpConfig, Result, Route } from '@cni-ts/spec/result';
import * as z from 'zod/mini';
import { readResolvConf } from './resolv-conf.ts';

const defaultDataDir = '/var/lib/cni/networks';

/** How many candidates are looked at one by one before the whole directory's names are read: after a walk that met
 *  this many taken addresses in a row, one long read is cheaper than many short looks. */
const looks = 64;

function schema() {
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

type Shape = z.output<ReturnType<typeof schema>>;

interface Config {
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

function parse(raw: Shape, request: RawRequest, indexFolder: string | undefined): Config {
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
function placeToClear({ json, network }: Request<Config>, indexFolder: string | undefined): Place {
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

/** For each set the requested address that lies in it, if any: the first one in the order of the request. */
function plan({ sets, requested }: Config): (Ip | undefined)[] {
  const chosen = sets.map((set) => requested.find((ip) => rangeOf(set, ip)));
  for (const [i, ip] of chosen.entries()) {
    const within = ip && rangeOf(sets[i]!, ip);
    if (within && equalIp(ip, within.gateway)) {
      throw allocationError(i, new Error(`requested ip ${formatIp(ip)} is subnet's gateway`));
    }
  }
  const left = requested.filter((ip) => !chosen.includes(ip)).map(formatIp);
  if (left.length > 0) {
    throw new CniError(
      ErrorCode.internal,
      `failed to allocate all requested IPs: ${left.join(' ')}`,
      `each range set gives one address of its own: ${sets.map(describe).join('; ')}`,
    );
  }
  return chosen;
}

/** One address of every set, in one hold of the lock. What was reserved before a set failed is given back by the
 *  undo list, and nothing else is: the reference then releases whatever the attachment ever owned. */
function apply(wanted: readonly (Ip | undefined)[], request: Request<Config>): Candidate[] {
  return withStore(request.config.place, (store) => choose(store, wanted, request));
}

function choose(store: Store, wanted: readonly (Ip | undefined)[], request: Request<Config>): Candidate[] {
  return request.config.sets.map((set, i) => {
    try {
      const found = reserve(store, set, i, wanted[i], request);
      store.setLastReserved(i, found.ip);
      return found;
    } catch (thrown) {
      throw allocationError(i, thrown);
    }
  });
}

function reserve(
  store: Store,
  set: RangeSet,
  index: number,
  wanted: Ip | undefined,
  request: Request<Config>,
): Candidate {
  const take = ({ ip }: Candidate): boolean => {
    const name = formatIp(ip);
    if (!store.reserve(name, request)) return false;
    request.undo.add(`reservation of ${name}`, () => giveBack(name, request));
    return true;
  };
  if (wanted) {
    const candidate = { ip: wanted, range: rangeOf(set, wanted)! }; // plan() chose it because it lies in the set
    if (take(candidate) || (takeOver(store, candidate, request) && take(candidate))) return candidate;
    throw busy(store, set, wanted);
  }
  const earlier = duplicate(store.owned(request), set);
  if (earlier && !takeOver(store, earlier, request)) {
    const text = `${formatIp(earlier.ip)} has been allocated to ${request.containerId}, duplicate allocation is not allowed`;
    throw new Error(text);
  }
  if (earlier && !equalIp(earlier.ip, earlier.range.gateway) && take(earlier)) return earlier;
  const found = takeFree(store, set, index, request, take);
  if (!found) throw exhausted(set, request);
  return found;
}

/** The first address of the walk that is free and can be taken; that it is free is a hint until it is taken. */
function takeFree(
  store: Store,
  set: RangeSet,
  index: number,
  request: Request<Config>,
  take: (candidate: Candidate) => boolean,
): Candidate | undefined {
  const last = store.lastReserved(index, request.log);
  let seen = 0;
  let taken: Set<string> | undefined;
  const found = walk(set, last, (candidate) => {
    const name = formatIp(candidate.ip);
    if (seen++ === looks) taken = new Set(entryNames(request.config.place.directory));
    return (taken ? !taken.has(name) : store.isFree(name)) && take(candidate);
  });
  if (found || !taken) return found;
  // Only names were compared above, so what a crash left empty has counted as taken.
  return walk(set, last, (candidate) => store.isFree(formatIp(candidate.ip)) && take(candidate));
}

/** What the attachment has of the set already. */
function duplicate({ exact, legacy }: Owned, set: RangeSet): Candidate | undefined {
  for (const names of [exact, legacy]) {
    for (const name of names) {
      const ip = parseIp(name);
      const range = ip && rangeOf(set, ip);
      if (range) return { ip, range };
    }
  }
  return undefined;
}

/**
 * Gives an address free that the attachment itself has from before the boot: nothing of it is alive, and an engine that
 * keeps a container's ID starts it again without a DEL. One from this boot stays: it may be in use.
 */
function takeOver(store: Store, { ip }: Candidate, request: Request<Config>): boolean {
  const name = formatIp(ip);
  const owner = store.content(name);
  if (owner !== ownerOf(request) && owner !== request.containerId) return false;
  const boot = bootTime();
  if (boot === undefined || !store.isOlderThan(name, boot)) return false;
  store.release(name);
  return true;
}

/** Undo of one reservation, unless somebody else has it by now. */
function giveBack(name: string, request: Request<Config>): void {
  withStore(request.config.place, (store) => {
    if (store.content(name) === ownerOf(request)) store.release(name);
  });
}

function busy(store: Store, set: RangeSet, ip: Ip): CniError {
  const name = formatIp(ip);
  return new CniError(
    ErrorCode.internal,
    `requested IP address ${name} is not available in range set ${describe(set)}`,
    `${name} is held by ${holder(store.content(name))}`,
  );
}

function holder(content: string | undefined): string {
  const [id, ifname] = (content ?? '').split('\r\n');
  if (!id) return 'something that is not a reservation';
  return ifname ? `container ${id}, interface ${ifname}` : `container ${id}`;
}

function exhausted(set: RangeSet, { config, network }: Request<Config>): CniError {
  const size = sizeOf(set);
  return new CniError(
    ErrorCode.internal,
    `no IP addresses available in range set: ${describe(set)}`,
    `${size} of ${size} addresses are used; reservations are the files in ${config.place.directory}, and GC ` +
      `("cnitool gc ${network}", or the runtime's) removes those of containers that are gone`,
  );
}

function allocationError(set: number, thrown: unknown): CniError {
  const { code, message, details } = toCniError(thrown);
  return new CniError(code, `failed to allocate for range ${set}: ${message}`, details, { cause: thrown });
}

function result(config: Config, given: readonly Candidate[], dns: Result['dns']): Result {
  const ips = given.map(
    ({ ip, range }): IpConfig => ({
      address: formatCidr({ ip, prefix: range.subnet.prefix }),
      gateway: formatIp(range.gateway),
    }),
  );
  return {
    ips,
    ...(config.routes.length > 0 && { routes: [...config.routes] }),
    ...(dns && Object.keys(dns).length > 0 && { dns }),
  };
}

function add(request: Request<Config>): Result {
  const { config } = request;
  // Before anything is reserved: an unreadable file leaves nothing behind, not even the directory.
  const dns = config.resolvConf === '' ? undefined : readResolvConf(config.resolvConf);
  return result(config, apply(plan(config), request), dns);
}

/** Which addresses an ADD would take now. Somebody else may take them first. */
function dryRun(request: Request<Config>): DryRun {
  const { config } = request;
  const dns = config.resolvConf === '' ? undefined : readResolvConf(config.resolvConf);
  const given = choose(new PeekedStore(config.place.directory), plan(config), request);
  const line = ({ ip }: Candidate) => `reservation of ${formatIp(ip)} in ${config.place.directory}`;
  return {
    changes: given.map((one) => ({ sign: '+', text: line(one) })),
    result: result(config, given, dns),
  };
}

/** Reservations that are gone are made again; an address that somebody else has by now is an error. */
function repair(request: Request<Config>): string[] {
  const { place, sets } = request.config;
  return withStore(place, (store) =>
    ownAddresses(request, sets).flatMap((name) => {
      if ([ownerOf(request), request.containerId].includes(store.content(name) ?? '')) return [];
      if (store.reserve(name, request)) return `the reservation of ${name} was gone`;
      throw new CniError(
        ErrorCode.internal,
        `${name} of container ${request.containerId} is held by ${holder(store.content(name))}`,
      );
    }),
  );
}

/** Those of the result that lie in our sets. */
function ownAddresses(request: Request<Config>, sets: readonly RangeSet[]): string[] {
  return (request.prevResult?.ips ?? []).flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    return ip && sets.some((set) => rangeOf(set, ip)) ? formatIp(ip) : [];
  });
}

/** The attachment holds an address, and every address of ours that the result gives it: one that went to somebody
 *  else meanwhile is a duplicate on the network. Other plugins' addresses in the result are none of ours. */
function check(request: Request<Config>): void {
  const { place, sets } = request.config;
  const failure = `host-local: Failed to find address added by container ${request.containerId}`;
  const given = ownAddresses(request, sets);
  withStore(place, (store) => {
    const { exact, legacy } = store.ownedForSure(request);
    if (exact.length + legacy.length === 0) throw new CniError(ErrorCode.internal, failure);
    const own = [ownerOf(request), request.containerId];
    const lost = given.filter((name) => !own.includes(store.content(name) ?? ''));
    if (lost.length === 0) return;
    const stories = lost.map((name) =>
      store.isFree(name)
        ? `${name} is reserved for nobody`
        : `${name} is held by ${holder(store.content(name))}`,
    );
    throw new CniError(ErrorCode.internal, `${failure}: ${stories.join('; ')}`);
  });
}

/** False where no directory is and none can be made (a full or read-only disk, a file in the way): nothing is reserved.
 *  ADD has failed, and the runtime would call DEL for ever if that did, too. */
function isKept({ directory }: Place): boolean {
  try {
    makeFolder(directory, 0o755);
    return true;
  } catch (error) {
    const found = statLink(directory);
    if (found && !found.isFile) throw error;
    return false;
  }
}

/** Whatever the attachment owns in the directory goes, whatever the ranges are today. */
function del(request: Request<Config>, place: Place): void {
  if (!isKept(place)) return;
  withStore(place, (store) => {
    const { exact, legacy } = store.ownedForSure(request);
    // The reference makes one pass for each set, and a pass takes the legacy reservations when nothing else is left.
    const withLegacy = exact.length === 0 || (legacy.length > 0 && hasSeveralSets(request));
    releaseAll(store, withLegacy ? [...exact, ...legacy] : exact);
  });
}

function hasSeveralSets(request: Request<Config>): boolean {
  try {
    return request.config.sets.length > 1;
  } catch (error) {
    request.log(
      `host-local: the configuration is not valid, what is the attachment's is released: ${errorText(error)}`,
    );
    return false;
  }
}

/** Exactly the reservations go whose owner is not attached any more, and the empty files of writers that died. */
function gc(request: Request<Config>, place: Place): void {
  const attached = new Set(request.validAttachments.map(ownerOf));
  const containers = new Set(request.validAttachments.map((at) => at.containerId));
  if (!isKept(place)) return;
  withStore(place, (store) => {
    const stale = [...store.all()].filter(([, content]) => {
      const [id = '', ifname, ...more] = content.split('\r\n');
      // Not the format of any release, so not a reservation to judge: somebody's note, keeping an address aside.
      if (/\s/.test(id) || more.length > 0) return false;
      return ifname === undefined ? !containers.has(id) : !attached.has(content);
    });
    releaseAll(
      store,
      stale.map(([name]) => name),
    );
  });
}

/** Changes nothing. A set without an address left is no reason to fail unless the configuration says so: a runtime whose
 *  network's STATUS fails takes the whole node for not ready, and some then never get to the GC that would help. */
function status(request: Request<Config>): void {
  const { place, sets, resolvConf, failStatusWhenFull } = available(
    'the configuration is not valid',
    () => request.config,
  );
  const { directory } = place;
  const used = available(`the reservations in ${directory} cannot be kept`, () => {
    // ADD makes what is missing of the path.
    requireAccess(nearestExisting(directory), { write: true, execute: true });
    return reservedNames(directory);
  });
  if (resolvConf !== '') available('resolvConf cannot be used', () => readResolvConf(resolvConf));
  if (!failStatusWhenFull) return;
  for (const [i, set] of sets.entries()) refuseExhausted(set, i, used, directory);
}

function refuseExhausted(set: RangeSet, index: number, used: readonly string[], directory: string): void {
  const size = sizeOf(set);
  if (BigInt(used.length) < size) return;
  const store = new Store(directory); // reads without the lock: a snapshot is all a status can be
  const taken = used.filter((name) => {
    const ip = parseIp(name);
    const within = ip && rangeOf(set, ip);
    return within && !equalIp(ip, within.gateway) && !store.isFree(name);
  });
  if (BigInt(taken.length) < size) return;
  throw new CniError(
    ErrorCode.pluginNotAvailable,
    `range set ${index} (${describe(set)}) has ${size} addresses and all are used`,
    `reservations are the files in ${directory}; GC removes those of attachments that are gone`,
  );
}

function available<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const { message, details } = toCniError(thrown);
    throw new CniError(ErrorCode.pluginNotAvailable, `${what}: ${message}`, details, { cause: thrown });
  }
}

/** All are tried; what could not be removed is an error, for a success would leak the address for good. */
function releaseAll(store: Store, names: readonly string[]): void {
  const failures: string[] = [];
  for (const name of names) {
    try {
      store.release(name);
    } catch (thrown) {
      failures.push(toCniError(thrown).message);
    }
  }
  if (failures.length > 0) throw new Error(`could not release every address: ${failures.join('; ')}`);
}

/** The plugin with its indexes in a folder of its own, or without any. */
export function hostLocalWith(indexFolder: string | undefined): Plugin {
  return definePlugin({
    type: 'host-local',
    config: schema,
    parse: (raw: Shape, request) => parse(raw, request, indexFolder),
    add,
    check,
    del: (request) => del(request, placeToClear(request, indexFolder)),
    gc: (request) => gc(request, placeToClear(request, indexFolder)),
    status,
    plan: dryRun,
    repair,
  });
}

/** Indexes lie under /run: they are worth nothing after a boot, and outside of every directory of reservations. */
export const hostLocal = hostLocalWith('/run/cni-ts/host-local');
