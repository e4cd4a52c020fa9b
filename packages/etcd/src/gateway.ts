/** etcd's JSON gateway: one POST for each request, to the endpoint that answered last. Where one gives no answer the next is
 *  asked, but for a write that may have happened. */
import { readFileSync, statSync } from 'node:fs';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { answeredError, connectionError, EtcdError } from './etcd-error.ts';

export interface EtcdSettings {
  /** As parseEndpoint reads them. */
  readonly endpoints: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM files; read again when they change. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Milliseconds for one try (1,000), and for a request with all its tries (3,000). */
  readonly tryFor?: number | undefined;
  readonly waitFor?: number | undefined;
}

export interface PostOptions {
  readonly write: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Longest answer that is read. */
const mostBytes = 64 << 20;

export class Gateway {
  readonly #settings: EtcdSettings;
  readonly #endpoints: readonly Endpoint[];
  #first = 0;
  #token: string | undefined;
  #authenticating: Promise<string> | undefined;
  #agents: { readonly stamp: string; readonly http: HttpAgent; readonly https: HttpsAgent } | undefined;

  /** Throws an Error for settings that cannot be. */
  constructor(settings: EtcdSettings) {
    const { endpoints, caFile, certFile, keyFile } = settings;
    if (endpoints.length === 0) throw new Error('etcd needs an endpoint, such as https://10.0.0.1:2379');
    if ((certFile === undefined) !== (keyFile === undefined)) {
      throw new Error('a client certificate for etcd needs its file and the file of its key');
    }
    this.#settings = settings;
    this.#endpoints = endpoints.map((text) =>
      parseEndpoint(text, caFile !== undefined || certFile !== undefined),
    );
  }

  /** The answer's JSON. Rejects with an EtcdError, or with the signal's reason. */
  post<T>(path: string, body: unknown, options: PostOptions): Promise<T> {
    return this.#withToken(async (token) =>
      parsed<T>(await this.#overEndpoints(path, JSON.stringify(body), token, options), path),
    );
  }

  /** A stream of lines from the endpoint in use; `onLine` gets each line's JSON. Ends when etcd ends it; rejects with an
   *  EtcdError, or with the signal's reason. */
  stream(path: string, body: unknown, onLine: (json: unknown) => void, signal: AbortSignal): Promise<void> {
    return this.#withToken(async (token) => {
      const one = this.#endpoints[this.#first]!;
      try {
        const response = await this.#send(one, path, JSON.stringify(body), token, { write: false, signal });
        if (response.statusCode !== 200) {
          throw answeredError(one.text, response.statusCode ?? 0, await whole(response), false);
        }
        let rest = '';
        for await (const piece of response.setEncoding('utf8')) {
          const lines = `${rest}${piece}`.split('\n');
          rest = lines.pop() ?? '';
          if (rest.length > mostBytes) throw new Error(`a line of more than ${mostBytes} bytes`);
          for (const line of lines) if (line !== '') onLine(parsed(line, path));
        }
      } catch (thrown) {
        signal.throwIfAborted();
        this.#skip(one);
        throw thrown instanceof EtcdError ? thrown : connectionError(one.text, thrown, false, true);
      }
    });
  }

  close(): void {
    this.#agents?.http.destroy();
    this.#agents?.https.destroy();
    this.#agents = undefined;
  }

  async #withToken<T>(work: (token: string | undefined) => Promise<T>): Promise<T> {
    if (this.#settings.username === undefined) return work(undefined);
    const token = this.#token ?? (await this.#authenticate());
    try {
      return await work(token);
    } catch (error) {
      // Tokens end after some minutes, and with the member that made them.
      if (!(error instanceof EtcdError) || error.trouble !== 'unauthenticated') throw error;
      if (this.#token === token) this.#token = undefined;
      return work(this.#token ?? (await this.#authenticate()));
    }
  }

  /** etcd checks passwords by bcrypt, which takes it a third of a second: once for all who wait, and the token is kept. */
  #authenticate(): Promise<string> {
    const { username: name, password = '' } = this.#settings;
    const path = '/v3/auth/authenticate';
    const ask = async () => {
      const text = await this.#overEndpoints(path, JSON.stringify({ name, password }), undefined, {
        write: false,
      });
      const { token } = parsed<{ token?: string }>(text, path);
      if (token === undefined)
        throw new EtcdError('unauthenticated', 'etcd gave no token for the name and password');
      this.#token = token;
      return token;
    };
    this.#authenticating ??= ask().finally(() => {
      this.#authenticating = undefined;
    });
    return this.#authenticating;
  }

  async #overEndpoints(
    path: string,
    body: string,
    token: string | undefined,
    options: PostOptions,
  ): Promise<string> {
    const until = performance.now() + (this.#settings.waitFor ?? 3000);
    const failures: EtcdError[] = [];
    for (let tries = 1; tries <= this.#endpoints.length * 2; tries++) {
      options.signal?.throwIfAborted();
      const left = until - performance.now();
      if (left <= 0) break;
      const one = this.#endpoints[this.#first]!;
      try {
        return await this.#ask(
          one,
          path,
          body,
          token,
          options,
          Math.min(left, this.#settings.tryFor ?? 1000),
        );
      } catch (thrown) {
        if (!(thrown instanceof EtcdError)) throw thrown;
        if (!['unreachable', 'unavailable', 'untrusted'].includes(thrown.trouble)) throw thrown;
        this.#skip(one);
        if (thrown.unknown) throw thrown;
        failures.push(thrown);
        // A second round only after a breath: perhaps a leader is being chosen.
        if (tries === this.#endpoints.length)
          await pause(Math.min(100, left), undefined, { signal: options.signal });
      }
    }
    throw together(failures);
  }

  async #ask(
    one: Endpoint,
    path: string,
    body: string,
    token: string | undefined,
    options: PostOptions,
    milliseconds: number,
  ): Promise<string> {
    const timeout = AbortSignal.timeout(Math.ceil(milliseconds));
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    try {
      const response = await this.#send(one, path, body, token, { ...options, signal });
      const text = await whole(response);
      if (response.statusCode === 200) return text;
      throw answeredError(one.text, response.statusCode ?? 0, text, options.write);
    } catch (thrown) {
      options.signal?.throwIfAborted();
      if (thrown instanceof EtcdError && !timeout.aborted) throw thrown;
      if (!timeout.aborted) throw connectionError(one.text, thrown, options.write, true);
      const text = `no answer from etcd at ${one.text} within ${Math.ceil(milliseconds)} ms`;
      throw new EtcdError('unreachable', text, { unknown: options.write, cause: thrown });
    }
  }

  /** The answer's head. Rejects with an EtcdError, or the abortion. */
  #send(
    one: Endpoint,
    path: string,
    body: string,
    token: string | undefined,
    { write, signal }: PostOptions,
  ): Promise<IncomingMessage> {
    const agents = this.#currentAgents();
    const options: RequestOptions = {
      ...one.where,
      method: 'POST',
      path,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(token !== undefined && { authorization: token }),
      },
      ...(signal && { signal }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = one.tls
      ? httpsRequest({ ...options, agent: agents.https })
      : httpRequest({ ...options, agent: agents.http });
    // What is not connected has sent nothing.
    let sent = false;
    request.on('socket', (socket) => {
      if (request.reusedSocket || !socket.connecting) {
        sent = true;
        return;
      }
      socket.once(one.tls ? 'secureConnect' : 'connect', () => {
        sent = true;
      });
    });
    request.on('response', resolve);
    request.on('error', (error) =>
      reject(signal?.aborted ? error : connectionError(one.text, error, write, sent)),
    );
    request.end(body);
    return promise;
  }

  #skip(one: Endpoint): void {
    if (this.#endpoints[this.#first] === one) this.#first = (this.#first + 1) % this.#endpoints.length;
  }

  /** New ones when a file of a certificate has changed. Throws an EtcdError for a file that cannot be read. */
  #currentAgents() {
    const { caFile, certFile, keyFile } = this.#settings;
    const stamp = [caFile, certFile, keyFile]
      .map((path) => ofFile(path, (one) => statSync(one).mtimeMs))
      .join();
    if (this.#agents?.stamp === stamp) return this.#agents;
    const [ca, cert, key] = [caFile, certFile, keyFile].map((path) =>
      ofFile(path, (one) => readFileSync(one)),
    );
    this.close();
    const keep = { keepAlive: true, maxSockets: 64 };
    const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
    this.#agents = { stamp, http: new HttpAgent(keep), https: new HttpsAgent({ ...keep, ...tls }) };
    return this.#agents;
  }
}

function ofFile<T>(path: string | undefined, work: (path: string) => T): T | undefined {
  if (path === undefined) return undefined;
  try {
    return work(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EtcdError('untrusted', `the file ${path} for etcd's TLS cannot be read: ${why}`, { cause });
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

function parsed<T>(text: string, path: string): T {
  try {
    // What etcd answers on this path; members are looked at where they are used.
    return JSON.parse(text) as T;
  } catch (cause) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new EtcdError('refused', `what answers ${path} is no etcd: ${shown} is no JSON`, { cause });
  }
}

function together(failures: readonly EtcdError[]): EtcdError {
  const last = failures.at(-1);
  const texts = [...new Set(failures.map(({ message }) => message))];
  if (last && texts.length === 1) return last;
  return new EtcdError(last?.trouble ?? 'unreachable', texts.join('; ') || 'no answer from etcd in time', {
    cause: last,
  });
}
