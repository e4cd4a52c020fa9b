/** etcd's JSON gateway, for the rig's own questions: it asks one member after the other. Not @cni-ts/etcd, which is among what
 *  is tried: that one refuses an etcd that was restored, and does not write a second time what may have been written. */

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly modRevision: string;
}

interface RawKeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (of: string) => Buffer.from(of, 'base64').toString();

export class Gateway {
  readonly #endpoints: readonly string[];
  #first = 0;

  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  /** Throws the last member's error where none answers. */
  async post(path: string, body: unknown): Promise<Record<string, unknown>> {
    let last: unknown;
    const first = this.#first;
    for (let i = 0; i < this.#endpoints.length; i++) {
      const at = (first + i) % this.#endpoints.length;
      try {
        const answer = await postTo(this.#endpoints[at] ?? '', path, body);
        this.#first = at;
        return answer;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  /** All keys below a prefix, at one revision. */
  async list(prefix: string): Promise<KeyValue[]> {
    const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
    const { kvs = [] } = await this.post('/v3/kv/range', { key: base64(prefix), range_end: base64(end) });
    // reason: etcd's answer, as its interface says
    return (kvs as RawKeyValue[]).map(keyValue);
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs = [] } = await this.post('/v3/kv/range', { key: base64(key) });
    const [found] = kvs as RawKeyValue[]; // reason: as above
    return found && keyValue(found);
  }

  /** The revision that it made. */
  async put(key: string, value: string): Promise<string> {
    const { header } = await this.post('/v3/kv/put', { key: base64(key), value: base64(value) });
    return (header as { revision: string }).revision; // reason: as above
  }

  /** Only if the key's modification is still this one ('0': it is absent); whether it was. */
  async swap(key: string, modRevision: string, value: string): Promise<boolean> {
    const { succeeded } = await this.post('/v3/kv/txn', {
      compare: [{ key: base64(key), target: 'MOD', mod_revision: modRevision }],
      success: [{ request_put: { key: base64(key), value: base64(value) } }],
    });
    return succeeded === true;
  }
}

/** One question to one member, which may take so many seconds. */
export async function postTo(
  endpoint: string,
  path: string,
  body: unknown,
  seconds = 5,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`${endpoint}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(seconds * 1000),
  });
  const json = (await answer.json()) as Record<string, unknown>; // reason: the gateway answers with an object
  if (!answer.ok) throw new Error(`${endpoint}${path}: ${JSON.stringify(json)}`);
  return json;
}

function keyValue({ key, value = '', mod_revision }: RawKeyValue): KeyValue {
  return { key: text(key), value: text(value), modRevision: mod_revision };
}
