/** etcd's keys and values by its JSON gateway (etcd's api/etcdserverpb/rpc.proto): texts here, base64 there; numbers of 64 bits
 *  are texts of decimal digits on both sides, and members that are zero, false or empty are absent there. */
import { EtcdError } from './etcd-error.ts';
import { type EtcdSettings, Gateway, type PostOptions } from './gateway.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: string;
  readonly modRevision: string;
  /** '0' for none. */
  readonly lease: string;
}

/** What must be so for a transaction to happen. With `end` it must be so of every key from `key` up to it, `end` not included. */
export type Compare = { readonly key: string; readonly end?: string } & (
  | { readonly created: string } // '0': there is no such key
  | { readonly modified: string }
  | { readonly value: string }
);

export type Write =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly remove: string; readonly end?: string }
  | { readonly read: string; readonly end?: string };

export interface Range extends Place {
  readonly keys: KeyValue[];
}

export interface Outcome {
  readonly succeeded: boolean;
  readonly revision: string;
  /** Of each `read`, in order. */
  readonly reads: readonly (readonly KeyValue[])[];
}

interface Header {
  readonly cluster_id?: string;
  readonly revision?: string;
}
interface RawKey {
  readonly key: string;
  readonly value?: string;
  readonly create_revision?: string;
  readonly mod_revision?: string;
  readonly lease?: string;
}
interface RawRange {
  readonly header?: Header;
  readonly kvs?: RawKey[];
  readonly more?: boolean;
}
interface RawTxn {
  readonly header?: Header;
  readonly succeeded?: boolean;
  readonly responses?: { readonly response_range?: RawRange }[];
}

/** Where etcd is in its history: a cluster's, and so many changes. */
export interface Place {
  readonly clusterId: string;
  readonly revision: string;
}

/** How many keys one answer brings, how many are read at most, and how often a reading begins anew. */
const page = 1000;
const mostKeys = 2_000_000;
const readings = 3;

export class EtcdClient {
  readonly #gateway: Gateway;
  /** The newest that an answer told. */
  #seen: Place | undefined;
  /** The last that `place` told. */
  #told: Place | undefined;
  /** Why it is not the etcd that it was. */
  #doubt: string | undefined;

  /** Throws an Error for settings that cannot be. */
  constructor(settings: EtcdSettings) {
    this.#gateway = new Gateway(settings);
  }

  /** All keys from `key` up to `end` (not included), or the one key; as of one revision. */
  async range(key: string, end?: string, signal?: AbortSignal): Promise<Range> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#readAll(key, end, signal);
      } catch (error) {
        // The revision that was being read is compacted between two answers.
        if (!(error instanceof EtcdError) || error.trouble !== 'compacted' || tries === readings) throw error;
      }
    }
  }

  /** Where etcd is now, also where that is before what was seen; revision '0' where an answer was, and this one is not. `key`:
   *  any that may be read. */
  async place(key: string): Promise<Place> {
    const asked = { key: encoded(key), count_only: true };
    const before = this.#seen;
    const place = placeOf(await this.#gateway.post<RawRange>('/v3/kv/range', asked, { write: false }));
    this.#told = place;
    if (before && isBefore(place, before)) this.#doubt ??= restoredText(place, before);
    else if (this.#doubt !== undefined) return { ...place, revision: '0' };
    return place;
  }

  /** Takes etcd as `place` told it last for what it is from now on. An answer of another cluster, or of an earlier revision
   *  than was seen, rejects with trouble `restored`, and so does all after it until this is called: etcd is then a copy of an
   *  earlier time, and knows less than it has told. */
  acceptPlace(): void {
    if (this.#doubt === undefined) return;
    this.#doubt = undefined;
    this.#seen = this.#told;
  }

  /** Does the writes when all compares hold. Rejects with an EtcdError; `unknown` where it may have happened. */
  async transact(
    compares: readonly Compare[],
    writes: readonly Write[],
    otherwise: readonly Write[] = [],
  ): Promise<Outcome> {
    const body = {
      compare: compares.map(rawCompare),
      success: writes.map(rawWrite),
      failure: otherwise.map(rawWrite),
    };
    const changes = [...writes, ...otherwise].some((one) => !('read' in one));
    const puts = (ones: readonly Write[]) => ones.some((one) => 'put' in one);
    const answer = await this.#post<RawTxn>('/v3/kv/txn', body, {
      write: changes,
      isNew: ({ succeeded }) => puts(succeeded ? writes : otherwise),
    });
    return {
      succeeded: answer.succeeded ?? false,
      revision: answer.header?.revision ?? '0',
      reads: (answer.responses ?? []).flatMap(({ response_range: found }) =>
        found ? [(found.kvs ?? []).map(decoded)] : [],
      ),
    };
  }

  async put(key: string, value: string, lease?: string): Promise<string> {
    const body = { key: encoded(key), value: encoded(value), ...(lease !== undefined && { lease }) };
    return placeOf(await this.#post('/v3/kv/put', body, { write: true, isNew: () => true })).revision;
  }

  async remove(key: string): Promise<void> {
    await this.#post('/v3/kv/deleterange', { key: encoded(key) }, { write: true });
  }

  /** A lease that ends so many seconds after it was last kept alive: its number. */
  async grantLease(seconds: number): Promise<string> {
    const { ID } = await this.#gateway.post<{ ID: string }>(
      '/v3/lease/grant',
      { TTL: String(seconds) },
      { write: true },
    );
    return ID;
  }

  /** False for one that has ended. */
  async keepLease(id: string): Promise<boolean> {
    const { result } = await this.#gateway.post<{ result?: { TTL?: string } }>(
      '/v3/lease/keepalive',
      { ID: id },
      { write: true },
    );
    return result?.TTL !== undefined && result.TTL !== '0';
  }

  close(): void {
    this.#gateway.close();
  }

  async #readAll(key: string, end: string | undefined, signal: AbortSignal | undefined): Promise<Range> {
    const keys: KeyValue[] = [];
    let from = encoded(key);
    let first: Place | undefined;
    for (;;) {
      const asked = {
        key: from,
        ...(end !== undefined && { range_end: encoded(end), limit: page }),
        ...(first && { revision: first.revision }),
      };
      const answer = await this.#post<RawRange>('/v3/kv/range', asked, { write: false, signal });
      const found = answer.kvs ?? [];
      for (const one of found) keys.push(decoded(one));
      first ??= placeOf(answer);
      const last = found.at(-1);
      if (!answer.more || !last) return { keys, ...first };
      if (keys.length > mostKeys) throw new EtcdError('refused', `more than ${mostKeys} keys from ${key}`);
      // By its bytes: a key of somebody else need not be a text.
      from = Buffer.concat([Buffer.from(last.key, 'base64'), Buffer.of(0)]).toString('base64');
    }
  }

  /** Of kv/* alone: these answers are in the order of etcd's history, whichever member gives them. `isNew`: whether it has made
   *  a revision of its own, so that the one before is where etcd was. */
  async #post<T extends { header?: Header }>(
    path: string,
    body: unknown,
    { isNew, ...options }: PostOptions & { isNew?: (answer: T) => boolean },
  ): Promise<T> {
    if (this.#doubt !== undefined) throw new EtcdError('restored', this.#doubt);
    const before = this.#seen;
    const answer = await this.#gateway.post<T>(path, body, options);
    const place = placeOf(answer);
    const from = isNew?.(answer) ? { ...place, revision: String(BigInt(place.revision) - 1n) } : place;
    if (before && isBefore(from, before)) {
      this.#doubt ??= restoredText(from, before);
      throw new EtcdError('restored', this.#doubt, { unknown: options.write });
    }
    if (!this.#seen || isBefore(this.#seen, place)) this.#seen = place;
    return answer;
  }
}

function restoredText(place: Place, before: Place): string {
  const what =
    place.clusterId === before.clusterId
      ? `revision went back from ${before.revision} to ${place.revision}`
      : `cluster is ${place.clusterId}, and was ${before.clusterId}`;
  return `etcd is not as it was: its ${what}. Was it restored from an older copy, or are the endpoints of two clusters?`;
}

function placeOf({ header }: { header?: Header }): Place {
  return { clusterId: header?.cluster_id ?? '0', revision: header?.revision ?? '0' };
}

function isBefore(place: Place, other: Place): boolean {
  return place.clusterId !== other.clusterId || BigInt(place.revision) < BigInt(other.revision);
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded({
  key,
  value = '',
  create_revision = '0',
  mod_revision = '0',
  lease = '0',
}: RawKey): KeyValue {
  const text = (one: string) => Buffer.from(one, 'base64').toString();
  return {
    key: text(key),
    value: text(value),
    createRevision: create_revision,
    modRevision: mod_revision,
    lease,
  };
}

function rawCompare(compare: Compare) {
  const what =
    'created' in compare
      ? { target: 'CREATE', create_revision: compare.created }
      : 'modified' in compare
        ? { target: 'MOD', mod_revision: compare.modified }
        : { target: 'VALUE', value: encoded(compare.value) };
  return {
    key: encoded(compare.key),
    result: 'EQUAL',
    ...(compare.end !== undefined && { range_end: encoded(compare.end) }),
    ...what,
  };
}

function rawWrite(write: Write) {
  if ('put' in write) {
    const lease = write.lease === undefined ? {} : { lease: write.lease };
    return { request_put: { key: encoded(write.put), value: encoded(write.value), ...lease } };
  }
  const [key, kind] =
    'remove' in write ? [write.remove, 'request_delete_range'] : [write.read, 'request_range'];
  return { [kind]: { key: encoded(key), ...(write.end !== undefined && { range_end: encoded(write.end) }) } };
}
