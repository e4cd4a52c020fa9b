/** An etcd in memory, for agents of one test: the same transactions as the model's, and what can go wrong with them. */
import { type Block, blockKey, blockOfKey, isInside, single } from '@cni-ts/cluster/block';
import type { Entry, Grid, Ledger, NewBlock, NewPin, NodeRecord, NodeState } from '../src/ledger.ts';
import { whose } from '../src/pool.ts';
import type { Etcd, Stored } from './etcd-rules.ts';
import * as rules from './etcd-rules.ts';

type Facts = Pick<Entry, 'space' | 'network' | 'time'>;

/** What becomes of the next requests. */
export type Weather = 'fair' | 'refused' | 'silent';

export class MemoryEtcd {
  clusterId = '1';
  revision = 1;
  weather: Weather = 'fair';
  /** The next request of this name is carried out, and its answer is lost. */
  lose = '';
  /** Of each request, how many. */
  counts: Record<string, number> = {};
  /** Of each space. */
  etcd: Record<string, Etcd> = {};
  readonly facts = new Map<string, Facts>();
  readonly names = new Map<string, NodeRecord & { since: string }>();
  readonly alive = new Set<string>();
  readonly fencing = new Set<string>();

  ledger(): Ledger {
    return new MemoryLedger(this);
  }

  space(name: string): Etcd {
    this.etcd[name] ??= { entries: {}, nodes: {} };
    return this.etcd[name];
  }

  /** All entries, as `node 10.0.0.0/26`-like facts for tests. */
  all(): Entry[] {
    return Object.entries(this.etcd).flatMap(([space, { entries }]) =>
      Object.entries(entries).map(([slot, stored]) => this.entry(space, slot, stored)),
    );
  }

  entry(space: string, slot: string, stored: Stored): Entry {
    const facts = this.facts.get(`${space} ${slot}`)!;
    return { ...blockOfKey(rules.split(slot)[1]), ...facts, ...stored, revision: rules.revisionOf(stored) };
  }

  async answer<T>(request: string, work: () => T): Promise<T> {
    this.counts[request] = (this.counts[request] ?? 0) + 1;
    await new Promise((done) => setTimeout(done, 1));
    if (this.weather === 'refused') throw new EtcdAway('connect ECONNREFUSED 127.0.0.1:2379', false);
    if (this.weather === 'silent') return new Promise(() => {});
    const value = work();
    if (this.lose !== request) return value;
    this.lose = '';
    throw new EtcdAway('the connection broke', true);
  }
}

class EtcdAway extends Error {
  readonly unknown: boolean;
  constructor(message: string, unknown: boolean) {
    super(message);
    this.unknown = unknown;
  }
}

const inside: rules.Geometry = (outer, inner) =>
  outer !== inner && isInside(blockOfKey(outer), blockOfKey(inner));

class MemoryLedger implements Ledger {
  readonly #at: MemoryEtcd;

  constructor(at: MemoryEtcd) {
    this.#at = at;
  }

  place() {
    return this.#at.answer('place', () => ({
      clusterId: this.#at.clusterId,
      revision: String(this.#at.revision),
    }));
  }

  grid(_space: string, wanted: Grid) {
    return this.#at.answer('grid', () => wanted);
  }

  claim(block: NewBlock) {
    return this.#at.answer('claim', (): { revision: string } | 'taken' => {
      const done = this.#take(block.space, block.network, { ...block, key: blockKey(block) });
      return done ?? 'taken';
    });
  }

  pin({ address, ...pin }: NewPin) {
    const block = single(address);
    return this.#at.answer('pin', (): { revision: string } | { takenBy: string } => {
      const done = this.#take(pin.space, pin.network, { ...pin, key: blockKey(block) });
      if (done) return done;
      const by = this.#at.all().find((one) => isInside(one, block));
      return { takenBy: by?.node ?? '' };
    });
  }

  #take(
    space: string,
    network: string,
    wanted: { key: string; claim: string; node: string; uid: string; owner?: string; sticky?: boolean },
  ) {
    const { key, claim, node, uid } = wanted;
    const asked = { key, claim, looking: false, ...whose(wanted) };
    const done = rules.claim(this.#at.space(space), asked, { node, uid }, this.#next(), { inside });
    if (!done) return undefined;
    this.#at.etcd[space] = done.etcd;
    this.#at.facts.set(`${space} ${rules.slotOf(asked)}`, {
      space,
      network,
      time: new Date().toISOString(),
    });
    return { revision: done.revision };
  }

  look(space: string, block: Block) {
    return this.#at.answer('look', () => {
      const slot = rules.slotOf({ key: blockKey(block) });
      const stored = this.#at.space(space).entries[slot];
      return stored && this.#at.entry(space, slot, stored);
    });
  }

  giveBack(space: string, block: Block, revision: string) {
    return this.#at.answer('giveBack', () =>
      this.#release(space, { key: blockKey(block), revision, claim: '' }),
    );
  }

  unpin(space: string, address: Entry['first'], revision: string, keep: boolean) {
    const key = blockKey(single(address));
    return this.#at.answer('unpin', () =>
      this.#release(space, { key, revision, claim: '', owner: '', ...(keep && { sticky: true }) }),
    );
  }

  #release(space: string, hold: Parameters<typeof rules.giveBack>[1]): boolean {
    const done = rules.giveBack(this.#at.space(space), hold, this.#next(), { inside });
    if (done) this.#at.etcd[space] = done;
    return done !== undefined;
  }

  confirm(entry: Entry) {
    return this.#at.answer('confirm', (): { revision: string } | 'changed' => {
      const { space, node, uid, claim, revision, modified } = entry;
      const seen = { key: blockKey(entry), claim, revision, modified, inUse: false, ...whose(entry) };
      const done = rules.confirm(this.#at.space(space), seen, { node, uid }, this.#next(), { inside });
      if (!done) return 'changed';
      this.#at.etcd[space] = done.etcd;
      return { revision: done.revision };
    });
  }

  entries({ space, within }: { space?: string; within?: Block }) {
    return this.#at.answer('entries', () =>
      this.#at
        .all()
        .filter((one) => space === undefined || one.space === space)
        .filter((one) => !within || isInside(within, one)),
    );
  }

  registerNode(record: NodeRecord, takeOver: boolean) {
    return this.#at.answer('register', (): 'ok' | { uid: string; since: string } => {
      const known = this.#at.names.get(record.node);
      if (known && known.uid !== record.uid && !takeOver) return { uid: known.uid, since: known.since };
      this.#at.names.set(record.node, { ...record, since: new Date().toISOString() });
      return 'ok';
    });
  }

  keepAlive(node: string) {
    return this.#at.answer('alive', () => void this.#at.alive.add(node));
  }

  nodes() {
    return this.#at.answer('nodes', () =>
      [...this.#at.names.values()].map(
        (one): NodeState => ({
          ...one,
          alive: this.#at.alive.has(one.node),
          fencing: this.#at.fencing.has(one.node),
        }),
      ),
    );
  }

  askToFence(node: string) {
    return this.#at.answer('fence', () => void this.#at.fencing.add(node));
  }

  fenceAsked(node: string) {
    return this.#at.answer('fenceAsked', () => this.#at.fencing.has(node));
  }

  fenceDone(node: string) {
    return this.#at.answer('fenceDone', () => void this.#at.fencing.delete(node));
  }

  fenceOff(node: string) {
    return this.#at.answer('fenceOff', (): Entry[] | 'alive' | 'unknown node' => {
      if (this.#at.alive.has(node)) return 'alive';
      if (!this.#at.names.delete(node)) return 'unknown node';
      const its = this.#at.all().filter((one) => one.node === node);
      for (const one of its) {
        const slot = rules.slotOf({ key: blockKey(one), ...whose(one) });
        this.#at.etcd[one.space] = rules.withoutEntry(this.#at.space(one.space), slot);
      }
      return its;
    });
  }

  async close() {}

  #next(): string {
    this.#at.revision++;
    return String(this.#at.revision);
  }
}
