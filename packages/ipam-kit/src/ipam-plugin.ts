/** An IPAM plugin as one value: what it would give, and where it remembers that. Its verbs follow. */
import { formatCidr, parseCidr } from '@cni-ts/address/cidr';
import { equalIp, formatIp, parseIp } from '@cni-ts/address/ip';
import { sleep } from '@cni-ts/libc/process';
import { definePlugin, type Plugin, type RawRequest, type Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, errorText, toCniError } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import type * as z from 'zod/mini';
import { describe, type RangeSet, rangeOf, sizeOf } from './ranges.ts';
import {
  type Choice,
  type Given,
  holderText,
  isHeldBy,
  ownerOf,
  type Reservations,
  type Store,
  Wanting,
} from './store.ts';

interface Ipam<S extends z.core.$ZodType, C> {
  readonly type: string;
  readonly config: S | (() => S);
  readonly parse: (raw: z.output<S>, request: RawRequest) => C;
  /** What it answers besides addresses. Read before anything is taken. */
  readonly rest: (config: C) => Omit<Result, 'ips'>;
  /** Addresses that everybody gets besides, and nothing remembers. */
  readonly more?: (config: C) => readonly Given[];
  /** What CHECK and STATUS ask besides. */
  readonly check?: (request: Request<C>) => void;
  readonly status?: (config: C) => void;
  /** What only VALIDATE says. */
  readonly refuse?: (config: C, request: RawRequest) => void;
}

/** Of a plugin that remembers nothing. */
interface Unkept<C> {
  readonly store?: undefined;
  readonly choose: (config: C) => readonly Given[];
}

/** Of one that remembers who has what. */
interface Kept<C> {
  /** DEL and GC ask for it as well, whatever else of the configuration is not valid. */
  readonly store: (request: Request<C>) => Reservations;
  /** Throws at once for what cannot be given to anybody. */
  readonly choose: (config: C) => Choice;
  /** The addresses it gives are of these. */
  readonly sets: (config: C) => readonly RangeSet[];
  /** Whether STATUS fails while a set has no address left. That is no reason to fail unless it is asked for: a runtime
   *  whose network's STATUS fails takes the whole node for not ready, and some then never get to the GC that would help. */
  readonly failsWhenFull: (config: C) => boolean;
  /** For CHECK and REPAIR: why an address, though reserved, is not this host's to have (any more); undefined where it is. */
  readonly lost?: (config: C) => (name: string) => string | undefined;
}

export type IpamPlugin<S extends z.core.$ZodType, C> = Ipam<S, C> & (Unkept<C> | Kept<C>);

/**
 * Makes a plugin of it: ADD takes what `choose` gives, a dry run peeks at it, CHECK and REPAIR look for the attachment's
 * reservations, DEL and GC release them.
 *
 *     ipamPlugin({ type: 'pool', config: schema, parse, rest: () => ({}), choose: allocation, sets: ({ sets }) => sets,
 *                  store: ({ network }) => new Folder(`/var/lib/pool/${network}`, undefined), failsWhenFull: () => false });
 */
export function ipamPlugin<S extends z.core.$ZodType, C>(ipam: IpamPlugin<S, C>): Plugin {
  const { type, config, parse } = ipam;
  return definePlugin<S, C>({
    type,
    config,
    parse,
    refuse: ipam.refuse,
    add(request) {
      const rest = ipam.rest(request.config);
      const all = given(ipam, request, heldWithAll);
      return resultOf(withMore(ipam, request, all), rest);
    },
    plan(request) {
      const rest = ipam.rest(request.config);
      let all: readonly Given[];
      try {
        all = given(ipam, request, (store, work) => work(store.peek()));
      } catch (thrown) {
        if (!(thrown instanceof Wanting)) throw thrown;
        return { changes: [{ sign: '+', text: thrown.what }], result: rest };
      }
      const where = ipam.store?.(request).where;
      const line = ({ cidr }: Given) =>
        ({ sign: '+', text: `reservation of ${formatIp(cidr.ip)} in ${where}` }) as const;
      const result = resultOf(withMore(ipam, request, all), rest);
      return { changes: where === undefined ? [] : all.map(line), result };
    },
    check(request) {
      ipam.check?.(request);
      if (ipam.store) checkHeld(ipam, request);
    },
    repair: (request) => (ipam.store ? takeAgain(ipam, request) : []),
    del(request) {
      if (ipam.store) releaseOwned(ipam, request);
    },
    gc(request) {
      if (ipam.store) releaseStale(ipam.store(request), request);
    },
    status(request) {
      const valid = available('the configuration is not valid', () => request.config);
      if (ipam.store) checkKept(ipam.store(request));
      ipam.status?.(valid);
      if (ipam.store && ipam.failsWhenFull(valid)) refuseFull(ipam.store(request), ipam.sets(valid));
    },
  });
}

type KeptPlugin<C> = Kept<C> & Pick<Ipam<never, C>, 'type' | 'more'>;

function given<S extends z.core.$ZodType, C>(
  ipam: IpamPlugin<S, C>,
  request: Request<C>,
  at: (store: Reservations, work: (store: Store) => readonly Given[]) => readonly Given[],
): readonly Given[] {
  if (!ipam.store) return ipam.choose(request.config);
  const choice = ipam.choose(request.config);
  return at(ipam.store(request), (store) => choice(store, request));
}

/** Each of a choice's wants is something new; one that never has enough is an error of its own. */
const mostWants = 16;

/** Runs the choice in a hold, and again when it has what it wanted, which nobody waits for in a hold. */
function heldWithAll(store: Reservations, work: (store: Store) => readonly Given[]): readonly Given[] {
  for (let wants = 0; ; wants++) {
    try {
      return store.hold(work);
    } catch (thrown) {
      if (!(thrown instanceof Wanting)) throw thrown;
      if (wants === mostWants) {
        throw new CniError(
          ErrorCode.tryAgainLater,
          `no address: ${thrown.what} came ${mostWants} times, and others took what it had`,
          'many containers start here at once, or few addresses are left: try again',
        );
      }
      // Others were faster: who asks again at once is the next to lose.
      if (wants > 2) sleep(wants * 10_000);
      thrown.get();
    }
  }
}

function withMore<C>(
  { more }: Pick<Ipam<never, C>, 'more'>,
  { config }: Request<C>,
  all: readonly Given[],
): readonly Given[] {
  const added = more?.(config) ?? [];
  return added.length === 0 ? all : [...all, ...added];
}

function resultOf(all: readonly Given[], rest: Omit<Result, 'ips'>): Result {
  const ips = all.map(({ cidr, gateway }) => ({
    address: formatCidr(cidr),
    ...(gateway && { gateway: formatIp(gateway) }),
  }));
  return { ips, ...rest };
}

/** Those of the result that are of our sets: other plugins' addresses in it are none of ours. */
function givenBefore<C>({ sets, more }: KeptPlugin<C>, { config, prevResult }: Request<C>): string[] {
  const own = sets(config);
  const unkept = more?.(config) ?? [];
  return (prevResult?.ips ?? []).flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    if (!ip || !own.some((set) => rangeOf(set, ip))) return [];
    return unkept.some(({ cidr }) => equalIp(cidr.ip, ip)) ? [] : formatIp(ip);
  });
}

/** The attachment holds an address, and every address of ours that the result gives it: one that went to somebody else
 *  meanwhile is a duplicate on the network. */
function checkHeld<C>(ipam: KeptPlugin<C>, request: Request<C>): void {
  const failure = `${ipam.type}: Failed to find address added by container ${request.containerId}`;
  const all = givenBefore(ipam, request);
  ipam.store(request).hold((store) => {
    const { exact, legacy } = store.ownedForSure(request);
    if (exact.length + legacy.length === 0) throw new CniError(ErrorCode.internal, failure);
    const lost = all.filter((name) => !isHeldBy(store.holder(name), request));
    if (lost.length === 0) {
      refuseLost(ipam, request.config, all, failure);
      return;
    }
    const stories = lost.map((name) =>
      store.isFree(name)
        ? `${name} is reserved for nobody`
        : `${name} is held by ${holderText(store.holder(name))}`,
    );
    throw new CniError(ErrorCode.internal, `${failure}: ${stories.join('; ')}`);
  });
}

/** Others may have by now what is reserved here, but is not this host's. */
function refuseLost<C>({ lost }: Kept<C>, config: C, names: readonly string[], failure: string): void {
  const why = lost?.(config);
  const stories = why ? names.flatMap((name) => why(name) ?? []) : [];
  if (stories.length > 0) throw new CniError(ErrorCode.internal, `${failure}: ${stories.join('; ')}`);
}

/** Reservations that are gone are made again; an address that somebody else has by now is an error. */
function takeAgain<C>(ipam: KeptPlugin<C>, request: Request<C>): string[] {
  const all = givenBefore(ipam, request);
  return ipam.store(request).hold((store) => {
    refuseLost(ipam, request.config, all, `${ipam.type}: an address of container ${request.containerId}`);
    return all.flatMap((name) => {
      if (isHeldBy(store.holder(name), request)) return [];
      if (store.take(name, request)) return `the reservation of ${name} was gone`;
      throw new CniError(
        ErrorCode.internal,
        `${name} of container ${request.containerId} is held by ${holderText(store.holder(name))}`,
      );
    });
  });
}

/** Whatever the attachment owns goes, whatever the sets are today. */
function releaseOwned<C>(ipam: KeptPlugin<C>, request: Request<C>): void {
  const reservations = ipam.store(request);
  if (!reservations.isKept()) return;
  reservations.hold((store) => {
    const { exact, legacy } = store.ownedForSure(request);
    // The reference makes one pass for each set, and a pass takes the legacy reservations when nothing else is left.
    const withLegacy = exact.length === 0 || (legacy.length > 0 && hasSeveralSets(ipam, request));
    releaseAll(store, withLegacy ? [...exact, ...legacy] : exact);
  });
}

function hasSeveralSets<C>({ type, sets }: KeptPlugin<C>, request: Request<C>): boolean {
  try {
    return sets(request.config).length > 1;
  } catch (error) {
    request.log(
      `${type}: the configuration is not valid, what is the attachment's is released: ${errorText(error)}`,
    );
    return false;
  }
}

/** Exactly the reservations go whose owner is not attached any more, and the empty files of writers that died. */
function releaseStale(reservations: Reservations, { validAttachments }: RawRequest): void {
  const attached = new Set(validAttachments.map(ownerOf));
  const containers = new Set(validAttachments.map((at) => at.containerId));
  if (!reservations.isKept()) return;
  reservations.hold((store) => {
    const stale: string[] = [];
    for (const [name, holder] of store.all()) {
      const [id = '', ifname, ...more] = holder.split('\r\n');
      // Not the format of any release, so not a reservation to judge: somebody's note, keeping an address aside.
      if (/\s/.test(id) || more.length > 0) continue;
      if (ifname === undefined ? !containers.has(id) : !attached.has(holder)) stale.push(name);
    }
    releaseAll(store, stale);
  });
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

function checkKept(store: Reservations): void {
  available(`the reservations in ${store.where} cannot be kept`, () => {
    store.requireAccess();
    store.peek().names();
  });
}

/** By a look without the lock: a snapshot is all that a status can be. */
function refuseFull(reservations: Reservations, sets: readonly RangeSet[]): void {
  const store = reservations.peek();
  const used = store.names();
  for (const [index, set] of sets.entries()) {
    const size = sizeOf(set);
    if (BigInt(used.length) < size) continue;
    const taken = used.filter((name) => {
      const ip = parseIp(name);
      const within = ip && rangeOf(set, ip);
      return within && !equalIp(ip, within.gateway) && !store.isFree(name);
    });
    if (BigInt(taken.length) < size) continue;
    throw new CniError(
      ErrorCode.pluginNotAvailable,
      `range set ${index} (${describe(set)}) has ${size} addresses and all are used`,
      `reservations are the files in ${reservations.where}; GC removes those of attachments that are gone`,
    );
  }
}

/** STATUS: what goes wrong in `work` keeps ADD from working. */
export function available<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const { message, details } = toCniError(thrown);
    throw new CniError(ErrorCode.pluginNotAvailable, `${what}: ${message}`, details, { cause: thrown });
  }
}
