/** etcd's JSON gateway, for the rig's own questions: it asks one member after the other. */

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly modRevision: string;
  readonly createRevision: string;
}

interface RawKeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
  readonly create_revision: string;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (of: string) => Buffer.from(of, 'base64').toString();

export class Gateway {
  readonly endpoints: readonly string[];
  readonly #limit: number;
  #first = 0;

  /** `limit`: seconds that one member may take. */
  constructor(endpoints: readonly string[], limit = 5) {
    this.endpoints = endpoints;
    this.#limit = limit;
  }

  /** Throws the last member's error where none answers. */
  async post(path: string, body: unknown): Promise<Record<string, unknown>> {
    let last: unknown;
    for (let i = 0; i < this.endpoints.length; i++) {
      const endpoint = this.endpoints[(this.#first + i) % this.endpoints.length] ?? '';
      try {
        const answer = await postTo(endpoint, path, body, this.#limit);
        this.#first = (this.#first + i) % this.endpoints.length;
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

  async put(key: string, value: string): Promise<void> {
    await this.post('/v3/kv/put', { key: base64(key), value: base64(value) });
  }

  async remove(key: string): Promise<void> {
    await this.post('/v3/kv/deleterange', { key: base64(key) });
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

/** One question to one member. */
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

function keyValue({ key, value = '', mod_revision, create_revision }: RawKeyValue): KeyValue {
  return { key: text(key), value: text(value), modRevision: mod_revision, createRevision: create_revision };
}
