/** etcd's JSON gateway: one POST for each request, to the endpoint that answered last. Where one gives no answer the next is
 *  asked, but for a write that may have happened. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { Connections, type TlsFiles } from './connections.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { answeredError, connectionError, EtcdError, lateError } from './etcd-error.ts';
import { Tokens } from './tokens.ts';

/** The files of TLS are read again when they change. */
export interface EtcdSettings extends TlsFiles {
  /** As parseEndpoint reads them. */
  readonly endpoints: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds for one try (1,000), and for a request with all its tries (3,000). */
  readonly tryFor?: number | undefined;
  readonly waitFor?: number | undefined;
}

export interface PostOptions {
  readonly write: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** One request on its way: to whom it may go, and until when. */
interface Errand extends PostOptions {
  readonly path: string;
  readonly body: string;
  readonly token: string;
  /** Of performance.now(). */
  readonly until: number;
  readonly tryFor: number;
}

/** What became of a try. */
interface Way {
  /** Whether etcd may have got it. */
  sent: boolean;
}

/** Longest answer that is read. */
const mostBytes = 64 << 20;
/** etcd checks a password for a third of a second, and one after the other where many ask (after it was started). */
const authenticateTryMs = 4000;
const authenticateMs = 12_000;

export class Gateway {
  readonly #tryFor: number;
  readonly #waitFor: number;
  readonly #endpoints: readonly Endpoint[];
  readonly #connections: Connections;
  readonly #tokens: Tokens | undefined;
  #first = 0;

  /** Throws an Error for settings that cannot be. */
  constructor(settings: EtcdSettings) {
    const { endpoints, caFile, certFile, username, password = '', tryFor = 1000, waitFor = 3000 } = settings;
    if (endpoints.length === 0) throw new Error('etcd needs an endpoint, such as https://10.0.0.1:2379');
    const tls = caFile !== undefined || certFile !== undefined;
    this.#endpoints = endpoints.map((text) => parseEndpoint(text, tls));
    this.#connections = new Connections(settings);
    this.#tryFor = tryFor;
    this.#waitFor = waitFor;
    if (username !== undefined) {
      this.#tokens = new Tokens((path) => this.#authenticate(path, { name: username, password }));
    }
  }

  /** The answer, which has a header. Rejects with an EtcdError, or with the signal's reason. */
  post<T extends object>(path: string, body: unknown, options: PostOptions): Promise<T> {
    const until = performance.now() + this.#waitFor;
    const text = JSON.stringify(body);
    return this.#withToken(until, options.signal, async (token) => {
      const errand = { ...options, path, body: text, token, until, tryFor: this.#tryFor };
      return this.#overEndpoints<T>(errand);
    });
  }

  close(): void {
    this.#connections.close();
  }

  async #withToken<T>(
    until: number,
    signal: AbortSignal | undefined,
    work: (token: string) => Promise<T>,
  ): Promise<T> {
    const tokens = this.#tokens;
    if (!tokens) return work('');
    const token = await tokens.get(until, signal);
    try {
      return await work(token);
    } catch (error) {
      // Tokens end after some minutes, with the member that made them, and where etcd's users are changed.
      if (!(error instanceof EtcdError) || error.trouble !== 'unauthenticated') throw error;
      tokens.forget(token);
      return work(await tokens.get(until, signal));
    }
  }

  #authenticate(path: string, who: { name: string; password: string }): Promise<{ token?: string }> {
    const until = performance.now() + authenticateMs;
    const body = JSON.stringify(who);
    return this.#overEndpoints({ path, body, token: '', write: false, until, tryFor: authenticateTryMs });
  }

  async #overEndpoints<T extends object>(errand: Errand): Promise<T> {
    const { signal, until } = errand;
    const failures: EtcdError[] = [];
    for (let tries = 1; tries <= this.#endpoints.length * 2; tries++) {
      signal?.throwIfAborted();
      if (performance.now() >= until) break;
      const one = this.#endpoints[this.#first]!;
      try {
        return await this.#ask<T>(one, errand);
      } catch (thrown) {
        if (!(thrown instanceof EtcdError)) throw thrown;
        if (!['unreachable', 'unavailable', 'untrusted'].includes(thrown.trouble)) throw thrown;
        this.#skip(one);
        if (thrown.unknown) throw thrown;
        failures.push(thrown);
      }
      // A second round only after a breath: perhaps a leader is being chosen.
      if (tries === this.#endpoints.length) await pause(100, undefined, { signal });
    }
    throw together(failures);
  }

  async #ask<T extends object>(one: Endpoint, errand: Errand): Promise<T> {
    const { path, write, signal: asked } = errand;
    const milliseconds = Math.max(1, Math.ceil(Math.min(errand.until - performance.now(), errand.tryFor)));
    const timeout = AbortSignal.timeout(milliseconds);
    const signal = asked ? AbortSignal.any([asked, timeout]) : timeout;
    const way: Way = { sent: false };
    try {
      return answer<T>(one, path, await this.#exchange(one, errand, signal, way), write);
    } catch (thrown) {
      asked?.throwIfAborted();
      if (thrown instanceof EtcdError) throw thrown;
      if (timeout.aborted) throw lateError(one.text, milliseconds, write, way.sent);
      throw connectionError(one.text, thrown, write, way.sent);
    }
  }

  /** Sends it and reads the answer. Rejects with an EtcdError for what etcd says, else with what went wrong. */
  async #exchange(
    one: Endpoint,
    { path, body, token, write }: Errand,
    signal: AbortSignal,
    way: Way,
  ): Promise<string> {
    const kept = this.#connections.borrow();
    try {
      const options: RequestOptions = {
        ...one.where,
        method: 'POST',
        path,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...(token !== '' && { authorization: token }),
        },
        signal,
      };
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const request = one.tls
        ? httpsRequest({ ...options, agent: kept.https })
        : httpRequest({ ...options, agent: kept.http });
      // What is not connected has sent nothing.
      request.on('socket', (socket) => {
        if (request.reusedSocket || !socket.connecting) way.sent = true;
        else {
          socket.once(one.tls ? 'secureConnect' : 'connect', () => {
            way.sent = true;
          });
        }
      });
      request.on('response', resolve);
      request.on('error', reject);
      request.end(body);
      const response = await promise;
      const text = await whole(response);
      if (response.statusCode === 200) return text;
      throw answeredError(one.text, response.statusCode ?? 0, text, write);
    } finally {
      this.#connections.giveBack(kept);
    }
  }

  #skip(one: Endpoint): void {
    if (this.#endpoints[this.#first] === one) this.#first = (this.#first + 1) % this.#endpoints.length;
  }
}

async function whole(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response) {
    length += piece.length;
    if (length > mostBytes) throw new Error(`an answer of more than ${mostBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** An answer with status 200. Every one of etcd has a header, also that of a stream, below `result`: who answers without
 *  one is not etcd, and its "no such key" means nothing. */
function answer<T extends object>(
  { text: endpoint }: Endpoint,
  path: string,
  text: string,
  write: boolean,
): T {
  const json = jsonOf(text);
  if (json !== undefined) {
    const { header, result, error } = json;
    if (error !== undefined) throw answeredError(endpoint, 200, text, write);
    if (isObject(header) || (isObject(result) && isObject(result.header))) {
      // What etcd answers on this path; members are looked at where they are used.
      return json as T;
    }
  }
  const shown = JSON.stringify(text.slice(0, 80));
  throw new EtcdError('refused', `what answers ${path} at ${endpoint} is no etcd: ${shown}`, {
    unknown: write,
  });
}

function jsonOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined; // the caller says so
  }
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

function together(failures: readonly EtcdError[]): EtcdError {
  const last = failures.at(-1);
  const texts = [...new Set(failures.map(({ message }) => message))];
  if (last && texts.length === 1) return last;
  return new EtcdError(last?.trouble ?? 'unreachable', texts.join('; ') || 'no answer from etcd in time', {
    cause: last,
  });
}
