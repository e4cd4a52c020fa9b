/** The ledger on etcd. What is taken or given back is one transaction each, whose compares keep that no two keys of a space
 *  overlap; etcd's transactions are strictly serializable, and nothing else of it is trusted. */
import type { Ip } from '@cni-ts/address/ip';
import { type Block, blockOf, enclosing, isInside, single } from '@cni-ts/cluster/block';
import { type Compare, EtcdClient, type KeyValue, type Write } from '@cni-ts/etcd/etcd-client';
import { EtcdError } from '@cni-ts/etcd/etcd-error';
import type { EtcdSettings } from '@cni-ts/etcd/gateway';
import { Keys, type Named } from './keys.ts';
import type { Entry, Grid, Ledger, NewBlock, NewPin, NodeRecord, NodeState, Place } from './ledger.ts';
import { whose } from './pool.ts';

/** Seconds after which a node that says nothing is shown as away. Nothing is freed by it. */
const aliveFor = 60;
/** etcd takes 128 operations in a transaction. */
const batch = 60;
/** How often a fence reads anew what changed while it deleted. */
const rounds = 10;

interface EntryValue {
  readonly node: string;
  readonly uid: string;
  readonly claim: string;
  readonly time: string;
  readonly network: string;
  readonly owner?: string;
  readonly sticky?: boolean;
}

interface NodeValue {
  readonly uid: string;
  readonly since: string;
  readonly version: string;
}

export class EtcdLedger implements Ledger {
  readonly #etcd: EtcdClient;
  readonly #keys: Keys;
  #lease: { readonly node: string; readonly id: string } | undefined;

  /** Throws an Error for settings that cannot be. */
  constructor(settings: EtcdSettings, prefix: string) {
    this.#etcd = new EtcdClient(settings);
    this.#keys = new Keys(prefix);
  }

  place(): Promise<Place> {
    return this.#etcd.place(this.#keys.node(''));
  }

  async grid(space: string, wanted: Grid): Promise<Grid> {
    const key = this.#keys.grid(space);
    const { keys } = await this.#etcd.range(key);
    if (keys[0]) return gridOf(keys[0]);
    const answer = await this.#etcd.transact(
      [{ key, created: '0' }],
      [{ put: key, value: JSON.stringify(wanted) }],
      [{ read: key }],
    );
    const other = answer.reads[0]?.[0];
    return answer.succeeded || !other ? wanted : gridOf(other);
  }

  async claim(block: NewBlock): Promise<{ revision: string } | 'taken'> {
    const { space, node, uid, claim, network } = block;
    const key = this.#keys.block(space, block);
    const value: EntryValue = { node, uid, claim, time: now(), network };
    const compares = [
      { ...this.#keys.blocksIn(space, block), created: '0' }, // the own key is among them
      { ...this.#keys.pinsIn(space, block), created: '0' },
      ...this.#noneAround(space, block, block.largest),
    ];
    const { succeeded, revision } = await this.#etcd.transact(compares, [put(key, value)]);
    return succeeded ? { revision } : 'taken';
  }

  async look(space: string, block: Block): Promise<Entry | undefined> {
    const { keys } = await this.#etcd.range(this.#keys.block(space, block));
    return keys[0] && this.#entry(keys[0]);
  }

  async giveBack(space: string, block: Block, revision: string): Promise<boolean> {
    const key = this.#keys.block(space, block);
    return (await this.#etcd.transact([{ key, created: revision }], [{ remove: key }])).succeeded;
  }

  async confirm(entry: Entry): Promise<{ revision: string } | 'changed'> {
    const { node, uid, claim, time, network, owner } = entry;
    const key = this.#keyOf(entry);
    const value = { node, uid, claim, time, network, ...whose(entry) };
    const answer = await this.#etcd.transact([{ key, modified: entry.modified }], [put(key, value)]);
    if (!answer.succeeded) return 'changed';
    return { revision: owner === undefined ? entry.revision : answer.revision };
  }

  async pin(pin: NewPin): Promise<{ revision: string } | { takenBy: string }> {
    const { space, address, node, uid, claim, network, owner } = pin;
    const key = this.#keys.pin(space, address);
    const there = (await this.#etcd.range(key)).keys[0];
    const before = there && this.#entry(there);
    if (there && !(before?.owner === owner && before.node === '')) return { takenBy: holderText(before) };
    const value = { node, uid, claim, time: now(), network, ...whose(pin) };
    const own: Compare = there ? { key, modified: there.modRevision } : { key, created: '0' };
    const around = this.#noneAround(space, single(address), pin.largest);
    const block = this.#keys.block(space, single(address));
    const answer = await this.#etcd.transact(
      [own, { key: block, created: '0' }, ...around],
      [put(key, value)],
    );
    if (answer.succeeded) return { revision: answer.revision };
    // Whose it is, for the sentence; it may be free again by now.
    const all = await this.entries({ space, within: blockOf(address, pin.largest) });
    return { takenBy: holderText(all.find((one) => isInside(one, single(address)))) };
  }

  async unpin(space: string, address: Ip, revision: string, keep: boolean): Promise<boolean> {
    const key = this.#keys.pin(space, address);
    const unchanged: Compare = { key, modified: revision };
    if (!keep) return (await this.#etcd.transact([unchanged], [{ remove: key }])).succeeded;
    const there = (await this.#etcd.range(key)).keys[0];
    const before = there && this.#entry(there);
    if (before?.owner === undefined) return false;
    return (await this.#etcd.transact([unchanged], [put(key, unheld(before))])).succeeded;
  }

  async entries({ space, within }: { space?: string; within?: Block }): Promise<Entry[]> {
    if (space !== undefined && within !== undefined) {
      const ranges = [this.#keys.blocksIn(space, within), this.#keys.pinsIn(space, within)];
      const found = await Promise.all(ranges.map(({ key, end }) => this.#etcd.range(key, end)));
      return found.flatMap(({ keys }) => this.#entriesOf(keys));
    }
    const { key, end } = space === undefined ? this.#keys.all('space') : this.#keys.space(space);
    return this.#entriesOf((await this.#etcd.range(key, end)).keys);
  }

  async registerNode({ node, uid, version }: NodeRecord, takeOver: boolean) {
    this.#etcd.acceptPlace(); // who is not content with it does not register
    const key = this.#keys.node(node);
    const there = (await this.#etcd.range(key)).keys[0];
    const before = there && nodeValue(there);
    if (before && before.uid !== uid && !takeOver) return { uid: before.uid, since: before.since };
    if (before?.uid === uid && before.version === version) return 'ok';
    const since = before?.uid === uid ? before.since : now();
    const own: Compare = there ? { key, modified: there.modRevision } : { key, created: '0' };
    const answer = await this.#etcd.transact([own], [put(key, { uid, since, version })], [{ read: key }]);
    if (answer.succeeded) return 'ok';
    const other = answer.reads[0]?.[0];
    const after = other && nodeValue(other);
    if (after?.uid === uid) return 'ok';
    return { uid: after?.uid ?? '', since: after?.since ?? '' };
  }

  async keepAlive(node: string): Promise<void> {
    if (this.#lease?.node === node && (await this.#etcd.keepLease(this.#lease.id))) return;
    const id = await this.#etcd.grantLease(aliveFor);
    await this.#etcd.put(this.#keys.alive(node), now(), id);
    this.#lease = { node, id };
  }

  async nodes(): Promise<NodeState[]> {
    const [nodes, alive, fencing] = await Promise.all(
      (['node', 'alive', 'fence'] as const).map(async (kind) => {
        const { key, end } = this.#keys.all(kind);
        return (await this.#etcd.range(key, end)).keys;
      }),
    );
    const names = (keys: readonly KeyValue[] = []) => new Set(keys.map(({ key }) => this.#keys.nodeOf(key)));
    const [living, fenced] = [names(alive), names(fencing)];
    return (nodes ?? []).flatMap((one) => {
      const node = this.#keys.nodeOf(one.key);
      if (node === undefined) return [];
      return { node, ...nodeValue(one), alive: living.has(node), fencing: fenced.has(node) };
    });
  }

  async askToFence(node: string): Promise<void> {
    await this.#etcd.put(this.#keys.fence(node), now());
  }

  async fenceAsked(node: string): Promise<boolean> {
    return (await this.#etcd.range(this.#keys.fence(node))).keys.length > 0;
  }

  async fenceDone(node: string): Promise<void> {
    await this.#etcd.remove(this.#keys.fence(node));
  }

  async fenceOff(node: string): Promise<Entry[] | 'alive' | 'unknown node'> {
    const returned: Entry[] = [];
    const [own, alive, fence] = [this.#keys.node(node), this.#keys.alive(node), this.#keys.fence(node)];
    let first: string | undefined;
    for (let round = 0; round < rounds; round++) {
      const there = (await this.#etcd.range(own)).keys[0];
      const uid = there && nodeValue(there).uid;
      if (round === 0) first = uid;
      else if (uid !== first) return returned; // somebody new has the name
      const left = (await this.entries({})).filter((one) => one.node === node);
      if (round === 0 && !there && left.length === 0) return 'unknown node';
      for (let i = 0; i < left.length; i += batch) {
        if (!(await this.#takeAway(left.slice(i, i + batch), alive, returned))) return 'alive';
      }
      if (left.length > 0) continue;
      // Last: who finds the name free finds nothing of the node before.
      const unchanged: Compare = { key: own, modified: there?.modRevision ?? '0' };
      const writes: Write[] = [{ remove: own }, { remove: fence }];
      const dead: Compare = { key: alive, created: '0' };
      const answer = await this.#etcd.transact([dead, unchanged], writes, [{ read: alive }]);
      if (answer.succeeded) return returned;
      if (answer.reads[0]?.length) return 'alive';
    }
    throw new EtcdError(
      'refused',
      `the keys of node ${node} are changed while they are deleted: is it alive all the same?`,
    );
  }

  /** The node is alive for a minute more: its containers run without the agent, and a fence has to wait for them. */
  async close(): Promise<void> {
    this.#etcd.close();
  }

  /** Each of them only if unchanged: together, and one by one where one has changed. False: the node is alive. */
  async #takeAway(entries: readonly Entry[], alive: string, returned: Entry[]): Promise<boolean> {
    const steps = entries.map((one) => this.#taking(one));
    const dead: Compare = { key: alive, created: '0' };
    const compares = steps.map(({ unchanged }) => unchanged);
    const answer = await this.#etcd.transact(
      [dead, ...compares],
      steps.map(({ write }) => write),
      [{ read: alive }],
    );
    if (answer.succeeded) {
      returned.push(...entries);
      return true;
    }
    if (answer.reads[0]?.length) return false;
    if (entries.length === 1) return true; // changed: the next round sees it as it is
    for (const one of entries) if (!(await this.#takeAway([one], alive, returned))) return false;
    return true;
  }

  #taking(entry: Entry): { readonly unchanged: Compare; readonly write: Write } {
    const key = this.#keyOf(entry);
    const stays = entry.owner !== undefined && entry.sticky;
    return {
      unchanged: { key, modified: entry.modified },
      write: stays ? put(key, unheld(entry)) : { remove: key },
    };
  }

  #keyOf(entry: Entry): string {
    const { space, first, owner } = entry;
    return owner === undefined ? this.#keys.block(space, entry) : this.#keys.pin(space, first);
  }

  #noneAround(space: string, block: Block, largest: number): Compare[] {
    return enclosing(block, largest).map((outer) => ({ key: this.#keys.block(space, outer), created: '0' }));
  }

  #entriesOf(keys: readonly KeyValue[]): Entry[] {
    return keys.flatMap((one) => this.#entry(one) ?? []);
  }

  /** undefined for a key that is neither a block nor a pin. */
  #entry({ key, value, createRevision, modRevision }: KeyValue): Entry | undefined {
    const named: Named | undefined = this.#keys.parse(key);
    if (!named) return undefined;
    const {
      node = '',
      uid = '',
      claim = '',
      time = '',
      network = '',
      owner,
      sticky,
    } = told<EntryValue>(value);
    const isPin = named.kind === 'pin';
    return {
      ...named.block,
      ...{ space: named.space, network, node, uid, claim, time },
      revision: isPin ? modRevision : createRevision,
      modified: modRevision,
      ...(isPin && { owner: owner ?? '' }),
      ...(sticky === true && { sticky }),
    };
  }
}

function now(): string {
  return new Date().toISOString();
}

/** A sticky pin while its owner runs nowhere. */
function unheld({ network, owner }: Entry): EntryValue {
  return { node: '', uid: '', claim: '', time: now(), network, sticky: true, ...whose({ owner }) };
}

function put(key: string, value: EntryValue | NodeValue): Write {
  return { put: key, value: JSON.stringify(value) };
}

/** What one of our agents wrote; a value that somebody has damaged has none of its members, and its key counts all the same. */
function told<T>(value: string): Partial<T> {
  try {
    const json: unknown = JSON.parse(value);
    // The members' types are those that this file writes.
    return typeof json === 'object' && json !== null ? (json as Partial<T>) : {};
  } catch {
    return {};
  }
}

function nodeValue({ value }: KeyValue): NodeValue {
  const { uid = '', since = '', version = '' } = told<NodeValue>(value);
  return { uid, since, version };
}

function gridOf({ key, value }: KeyValue): Grid {
  const { largest, created = '' } = told<Grid>(value);
  const fits = (length: unknown, bits: number) => typeof length === 'number' && length >= 0 && length <= bits;
  if (largest && fits(largest[4], 32) && fits(largest[6], 128)) return { largest, created };
  throw new EtcdError(
    'refused',
    `etcd's key ${key} is damaged: it holds ${JSON.stringify(value.slice(0, 80))}`,
  );
}

function holderText(entry: Entry | undefined): string {
  if (!entry) return 'something that is gone by now';
  const whose = entry.owner === undefined ? '' : `, of ${entry.owner}`;
  return `${entry.node === '' ? 'nobody at the moment' : `node ${entry.node}`} (network ${entry.network}${whose})`;
}
