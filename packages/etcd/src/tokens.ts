/** The token for a name and password. etcd checks passwords by bcrypt, which takes it a third of a second: once for all who
 *  wait, and the token is kept. */
import { EtcdError, NoAuthentication } from './etcd-error.ts';

export class Tokens {
  readonly #ask: (path: string) => Promise<{ token?: string }>;
  #token: string | undefined;
  #asking: Promise<string> | undefined;

  constructor(ask: (path: string) => Promise<{ token?: string }>) {
    this.#ask = ask;
  }

  /** Empty where etcd knows no users. Who has no time left (`until`, of performance.now()) or whose signal comes goes, and the
   *  token comes all the same, for the next. Rejects with an EtcdError, or with the signal's reason. */
  async get(until: number, signal?: AbortSignal): Promise<string> {
    if (this.#token !== undefined) return this.#token;
    this.#asking ??= this.#authenticate().finally(() => {
      this.#asking = undefined;
    });
    const left = Math.max(0, until - performance.now());
    const late = AbortSignal.timeout(Math.ceil(left));
    const end = signal ? AbortSignal.any([signal, late]) : late;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const onAbort = () => {
      reject(
        signal?.aborted
          ? signal.reason
          : new EtcdError(
              'unreachable',
              'etcd has not checked the name and password in time; it is still asked',
            ),
      );
    };
    end.addEventListener('abort', onAbort);
    try {
      if (end.aborted) onAbort();
      return await Promise.race([this.#asking, ended]);
    } finally {
      end.removeEventListener('abort', onAbort);
    }
  }

  /** It is good no more, unless there is a newer one already. */
  forget(token: string): void {
    if (this.#token === token) this.#token = undefined;
  }

  async #authenticate(): Promise<string> {
    try {
      const { token } = await this.#ask('/v3/auth/authenticate');
      if (!token) throw new EtcdError('unauthenticated', 'etcd gave no token for the name and password');
      this.#token = token;
    } catch (error) {
      if (!(error instanceof NoAuthentication)) throw error;
      this.#token = '';
    }
    return this.#token;
  }
}
