import { equalIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, ErrorCode, toCniError } from '@cni-ts/spec/cni-error';
import { bootTime } from './boot-time.ts';
import { livenessOf, livenessText } from './liveness.ts';
import { type Candidate, describe, type RangeSet, rangeOf, sizeOf, walk } from './ranges.ts';
import { type Choice, holderText, isHeldBy, type Owned, type Store } from './store.ts';

type Asking = Request<unknown>;

/** How many candidates are looked at one by one before the whole directory's names are read: after a walk that met
 *  this many taken addresses in a row, one long read is cheaper than many short looks. */
const looks = 64;

/** What an allocation works by. */
export interface Pool {
  /** One address of each goes to every attachment; the position is the cursor's number. */
  readonly sets: readonly RangeSet[];
  readonly requested: readonly Ip[];
}

/**
 * One address of every set, in one hold of the store: the requested one that lies in it, else the next that is free. Throws
 * at once for a request that no set can serve. What was reserved before a set failed is given back by the undo list, and
 * nothing else is: the reference then releases whatever the attachment ever owned.
 */
export function allocation({ sets, requested }: Pool): Choice {
  const wanted = requestedOf(sets, requested);
  return (store, request) =>
    sets.map((set, i) => {
      try {
        const { ip, range } = reserve(store, set, i, wanted[i], request);
        store.setCursor(i, ip);
        return { cidr: { ip, prefix: range.subnet.prefix }, gateway: range.gateway };
      } catch (thrown) {
        throw allocationError(i, thrown);
      }
    });
}

/** For each set the requested address that lies in it, if any: the first one in the order of the request. */
function requestedOf(sets: readonly RangeSet[], requested: readonly Ip[]): (Ip | undefined)[] {
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

function reserve(
  store: Store,
  set: RangeSet,
  index: number,
  wanted: Ip | undefined,
  request: Asking,
): Candidate {
  const take = ({ ip }: Candidate) => takeName(store, formatIp(ip), request);
  if (wanted) {
    const candidate = { ip: wanted, range: rangeOf(set, wanted)! }; // it was chosen because it lies in the set
    if (takeThis(store, candidate, request, take)) return candidate;
    throw busy(store, set, wanted);
  }
  const earlier = earlierOf(store, set, request);
  if (earlier && !equalIp(earlier.ip, earlier.range.gateway) && take(earlier)) return earlier;
  const found = takeFree(store, set, store.cursor(index, request.log), take);
  if (!found) throw exhausted(store, set, request);
  return found;
}

/** Takes an address, to be given back where the call fails; false where somebody has it. */
export function takeName(store: Store, name: string, request: Asking): boolean {
  if (!store.take(name, request)) return false;
  request.undo.add(`reservation of ${name}`, () => store.giveBack(name, request));
  return true;
}

/** Takes this one and no other, also where the attachment itself has it from before the boot. */
export function takeThis(
  store: Store,
  candidate: Candidate,
  request: Asking,
  take: (candidate: Candidate) => boolean,
): boolean {
  return take(candidate) || (takeOver(store, candidate, request) && take(candidate));
}

/** What the attachment had of the set before the boot, which is free now. Throws where it has one since. */
export function earlierOf(store: Store, set: RangeSet, request: Asking): Candidate | undefined {
  const earlier = duplicate(store.owned(request), set);
  if (earlier && !takeOver(store, earlier, request)) {
    const text = `${formatIp(earlier.ip)} has been allocated to ${request.containerId}, duplicate allocation is not allowed`;
    throw new Error(text);
  }
  return earlier;
}

/** The first address of the walk from `last` that is free and can be taken; that it is free is a hint until it is taken. */
export function takeFree(
  store: Store,
  set: RangeSet,
  last: Ip | undefined,
  take: (candidate: Candidate) => boolean,
): Candidate | undefined {
  let seen = 0;
  let taken: Set<string> | undefined;
  const found = walk(set, last, (candidate) => {
    const name = formatIp(candidate.ip);
    if (seen++ === looks) taken = new Set(store.names());
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
function takeOver(store: Store, { ip }: Candidate, request: Asking): boolean {
  const name = formatIp(ip);
  if (!isHeldBy(store.holder(name), request)) return false;
  const boot = bootTime();
  if (boot === undefined || !store.isOlderThan(name, boot)) return false;
  store.release(name);
  return true;
}

export function busy(store: Store, set: RangeSet, ip: Ip): CniError {
  const name = formatIp(ip);
  return new CniError(
    ErrorCode.internal,
    `requested IP address ${name} is not available in range set ${describe(set)}`,
    `${name} is held by ${holderText(store.holder(name))}`,
  );
}

function exhausted(store: Store, set: RangeSet, { network }: Asking): CniError {
  const size = sizeOf(set);
  return new CniError(
    ErrorCode.internal,
    `no IP addresses available in range set: ${describe(set)}`,
    `${size} of ${size} addresses are used; reservations are the files in ${store.where}, and GC ` +
      `("cnitool gc ${network}", or the runtime's) removes those of containers that are gone` +
      livenessText(livenessOf(store, set, network), network),
  );
}

export function allocationError(set: number, thrown: unknown): CniError {
  const { code, message, details } = toCniError(thrown);
  return new CniError(code, `failed to allocate for range ${set}: ${message}`, details, { cause: thrown });
}
