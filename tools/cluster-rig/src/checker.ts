/** Holds a history against the invariants I1 to I8: what it returns was wrong. */
import { compareIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import {
  type Block,
  blockKey,
  blockOf,
  blockText,
  isInside,
  parseBlockKey,
  single,
} from '@cni-ts/cluster/block';
import type { AddEvent, HistoryEvent, Law, LedgerKey, LookEvent, NetworkLaw, Store } from './history.ts';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I8' | 'CHECK';

export interface Violation {
  readonly invariant: Invariant;
  readonly at: number;
  /** A sentence. */
  readonly what: string;
}

/** Everything that is wrong, in the order of time. Throws for a history that names a network without a law. */
export function check(history: readonly HistoryEvent[], law: Law): Violation[] {
  const looks = history.filter((one) => one.kind === 'look');
  const all = [
    ...overlaps(history, law),
    ...looks.flatMap((look) => [...nested(look), ...foreign(look), ...notTheLiveSet(look)]),
    ...leftByFailed(history, looks),
    ...looks.flatMap((look) => neverReturned(look, law.emptyBlocksReturnIn)),
    ...history.flatMap((event) => wrongAnswer(event, law)),
  ];
  return all.sort((a, b) => a.at - b.at);
}

/** An address as all say it the same way. */
function addressOf(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new Error(`the history has ${text} for an address`);
  return ip;
}

function lawOf(law: Law, network: string): NetworkLaw {
  const found = law.networks[network];
  if (!found) throw new Error(`the history has a network ${network}, which the law does not know`);
  return found;
}

interface Holding {
  readonly from: number;
  readonly to: number;
  readonly who: string;
}

/** When what a node's attachments had ended for sure not earlier: when DEL or GC was asked, or the power went. */
class Ends {
  readonly #dels = new Map<string, number[]>();
  readonly #gcs = new Map<string, { asked: number; valid: ReadonlySet<string> }[]>();
  readonly #offs = new Map<string, number[]>();

  constructor(history: readonly HistoryEvent[]) {
    for (const one of history) {
      if (one.kind === 'del') listIn(this.#dels, attachment(one)).push(one.asked);
      if (one.kind === 'off') listIn(this.#offs, one.node).push(one.at);
      if (one.kind === 'gc') {
        listIn(this.#gcs, `${one.node} ${one.network}`).push({ asked: one.asked, valid: new Set(one.valid) });
      }
    }
  }

  /** The first end after `since`. */
  of(one: { node: string; network: string; id: string }, since: number): number {
    const gcs = this.#gcs.get(`${one.node} ${one.network}`) ?? [];
    const ends = [
      ...(this.#dels.get(attachment(one)) ?? []),
      ...(this.#offs.get(one.node) ?? []),
      ...gcs.filter(({ valid }) => !valid.has(one.id)).map(({ asked }) => asked),
    ];
    return Math.min(Number.POSITIVE_INFINITY, ...ends.filter((at) => at >= since));
  }
}

function listIn<T>(map: Map<string, T[]>, key: string): T[] {
  const found = map.get(key) ?? [];
  map.set(key, found);
  return found;
}

function attachment({ node, network, id }: { node: string; network: string; id: string }): string {
  return `${node} ${network} ${id}`;
}

/** I1: nobody gets an address from when its holder's ADD had answered until its holder's DEL was asked. What an ADD
 *  without an answer left counts from when it was seen. */
function overlaps(history: readonly HistoryEvent[], law: Law): Violation[] {
  const ends = new Ends(history);
  const held = new Map<string, Holding[]>();
  const answered = new Set<string>();
  const hold = (
    one: { node: string; network: string; id: string },
    address: string,
    since: number,
    from: number,
  ) => {
    const to = ends.of(one, since);
    const { space } = lawOf(law, one.network);
    if (to > from)
      listIn(held, `${space} ${formatIp(addressOf(address))}`).push({ from, to, who: attachment(one) });
  };
  for (const one of history) {
    if (one.kind !== 'add' || one.answered === undefined) continue;
    answered.add(attachment(one));
    for (const address of one.addresses ?? []) hold(one, address, one.asked, one.answered);
  }
  const seen = new Set<string>();
  for (const look of history) {
    if (look.kind !== 'look') continue;
    for (const { node, network, reservations } of look.stores) {
      for (const { address, id } of reservations) {
        const one = { node, network, id };
        const first = `${attachment(one)} ${address}`;
        if (answered.has(attachment(one)) || seen.has(first)) continue;
        seen.add(first);
        hold(one, address, look.at, look.at);
      }
    }
  }
  return [...held].flatMap(([key, holdings]) => {
    const found: Violation[] = [];
    holdings.sort((a, b) => a.from - b.from);
    let last: Holding | undefined;
    for (const one of holdings) {
      if (last && one.from < last.to) {
        const what = `${key} was given to ${one.who} at ${one.from.toFixed(3)} while ${last.who} had it since ${last.from.toFixed(3)}`;
        found.push({ invariant: 'I1', at: one.from, what });
      }
      if (!last || one.to > last.to) last = one;
    }
    return found;
  });
}

interface Held extends Block {
  readonly of: LedgerKey;
}

function blocksOf(keys: readonly LedgerKey[]): Held[] {
  return keys.map((of) => {
    const block = parseBlockKey(of.key.includes('/') ? of.key : `${of.key}/128`);
    if (!block) throw new Error(`etcd has ${of.key} for a block`);
    return { ...block, of };
  });
}

/** I2 */
function nested({ at, keys }: LookEvent): Violation[] {
  const bySpace = Map.groupBy(blocksOf(keys), ({ of }) => of.space);
  return [...bySpace].flatMap(([space, blocks]) => {
    const sorted = blocks.sort((a, b) => (blockKey(a) < blockKey(b) ? -1 : 1));
    const found: Violation[] = [];
    let around: Held | undefined;
    for (const one of sorted) {
      if (around && isInside(around, one)) {
        const what = `in space ${space} ${blockText(one)} of ${one.of.node} lies in ${blockText(around)} of ${around.of.node}`;
        found.push({ invariant: 'I2', at, what });
      } else around = one;
    }
    return found;
  });
}

/** I3 */
function foreign({ at, keys, stores }: LookEvent): Violation[] {
  const blocks = Map.groupBy(blocksOf(keys), ({ of }) => `${of.node} ${of.network}`);
  return stores.flatMap(({ node, network, reservations }) => {
    const own = blocks.get(`${node} ${network}`) ?? [];
    return reservations
      .filter(({ address }) => !own.some((block) => contains(block, addressOf(address))))
      .map(({ address, id }) => ({
        invariant: 'I3' as const,
        at,
        what: `${node} has reserved ${address} of ${network} for ${id} in a block that it does not hold`,
      }));
  });
}

function contains(block: Block, ip: Ip): boolean {
  return isInside(block, single(ip));
}

/** I5 */
function notTheLiveSet({ at, stores }: LookEvent): Violation[] {
  return stores.flatMap(({ node, network, reservations, live }) => {
    if (!live) return [];
    const ids = new Set(reservations.map(({ id }) => id));
    const lives = new Set(live);
    const wrong = (what: string) => ({ invariant: 'I5' as const, at, what });
    return [
      ...[...ids.difference(lives)].map((id) =>
        wrong(`after GC ${node} keeps an address of ${network} for ${id}, which is gone`),
      ),
      ...[...lives.difference(ids)].map((id) =>
        wrong(`after GC ${node} keeps no address of ${network} for ${id}, which lives`),
      ),
    ];
  });
}

/** I5, too: an ADD that failed leaves nothing, and needs neither DEL nor GC for that. */
function leftByFailed(history: readonly HistoryEvent[], looks: readonly LookEvent[]): Violation[] {
  const failed = new Set<string>();
  for (const one of history) if (one.kind === 'add' && one.error !== undefined) failed.add(attachment(one));
  return looks.flatMap(({ at, stores }) =>
    stores.flatMap(({ node, network, reservations }) =>
      reservations
        .filter(({ id }) => failed.has(attachment({ node, network, id })))
        .map(({ address, id }) => ({
          invariant: 'I5' as const,
          at,
          what: `${node} keeps ${address} of ${network} for ${id}, whose ADD failed`,
        })),
    ),
  );
}

/** I6 */
function neverReturned({ at, keys, stores, quietFor }: LookEvent, limit: number): Violation[] {
  if (quietFor < limit) return [];
  const byPlace = new Map<string, Store>(stores.map((store) => [`${store.node} ${store.network}`, store]));
  return blocksOf(keys).flatMap((block) => {
    const store = byPlace.get(`${block.of.node} ${block.of.network}`);
    if (!store || store.reservations.some(({ address }) => contains(block, addressOf(address)))) return [];
    const what = `${block.of.node} keeps ${blockText(block)} of ${block.of.network}, of which no address was used for ${quietFor.toFixed(0)} s`;
    return [{ invariant: 'I6' as const, at, what }];
  });
}

/** I4, I7, I8, and a CHECK that fails for what is as it was made. */
function wrongAnswer(event: HistoryEvent, law: Law): Violation[] {
  if (event.kind === 'add') return wrongAdd(event, lawOf(law, event.network));
  if (
    (event.kind === 'del' || event.kind === 'check' || event.kind === 'gc') &&
    event.answered !== undefined
  ) {
    if (event.error === undefined) return [];
    const of = event.kind === 'gc' ? `${event.node} ${event.network}` : attachment(event);
    const what = `${event.kind.toUpperCase()} of ${of} failed: ${event.error}`;
    return [{ invariant: event.kind === 'check' ? 'CHECK' : 'I7', at: event.asked, what }];
  }
  return [];
}

function wrongAdd(event: AddEvent, { ranges, exclude }: NetworkLaw): Violation[] {
  const { asked: at, answered, addresses = [], onDisk } = event;
  if (answered === undefined) return [];
  const found: Violation[] = [];
  if (onDisk === false) {
    found.push({
      invariant: 'I4',
      at,
      what: `ADD of ${attachment(event)} answered ${addresses.join(', ')} without a file`,
    });
  }
  for (const address of addresses) {
    const ip = addressOf(address);
    const lies = ({ start, end }: { start: string; end: string }) =>
      addressOf(start).family === ip.family &&
      compareIp(addressOf(start), ip) <= 0 &&
      compareIp(ip, addressOf(end)) <= 0;
    const given = `ADD of ${attachment(event)} answered ${address}, which`;
    if (!ranges.some(lies)) found.push({ invariant: 'I8', at, what: `${given} is of no range` });
    else if (exclude.some((cidr) => contains(cidrBlock(cidr), ip))) {
      found.push({ invariant: 'I8', at, what: `${given} is excluded` });
    }
  }
  return found;
}

function cidrBlock(cidr: string): Block {
  const [first = '', length = ''] = cidr.split('/');
  return blockOf(addressOf(first), Number(length));
}
