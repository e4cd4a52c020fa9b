/** host-local: hands out addresses of ranges written in the configuration and remembers them in files of this host.
 *
 *  Each range set gives one address to every attachment, round robin: a released address rests for a full turn, so
 *  that neighbours' ARP entries and connection tracking forget it. The directory is the reference plugin's, and both
 *  may use it at the same time (store.ts). DEL and CHECK need nothing but the container id and interface name, and DEL
 *  and GC of the configuration nothing but where the directory is. */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, parseIp } from '@cni-ts/address/ip';
import { type Candidate, describe, type RangeSet, rangeOf, sizeOf } from '@cni-ts/ipam-kit/ranges';
import { ownerOf, PeekedStore, type Place, reservedNames, Store, withStore } from '@cni-ts/ipam-kit/store';
import { nearestExisting, requireAccess, statLink } from '@cni-ts/libc/file-status';
import { makeFolder } from '@cni-ts/libc/folder';
import { type DryRun, definePlugin, type Plugin, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, toCniError } from '@cni-ts/spec/cni-error';
import type { IpConfig, Result } from '@cni-ts/spec/result';
import { apply, choose, holder, plan } from './allocation.ts';
import { type Config, parse, placeToClear, type Shape, schema } from './config.ts';
import { readResolvConf } from './resolv-conf.ts';

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
