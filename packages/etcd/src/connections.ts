/** Kept connections to etcd, with the certificates that the files have now. */
import { readFileSync, statSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { EtcdError } from './etcd-error.ts';

/** PEM files. Without an authority those count that Node trusts. */
export interface TlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** What requests go through; who borrows it gives it back. */
export interface Kept {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

const atOnce = 64;

export class Connections {
  readonly #files: TlsFiles;
  readonly #users = new Map<Kept, number>();
  #current: Kept | undefined;
  /** Of the files as they were tried last. */
  #stamp: string | undefined;

  /** Throws an Error for files that cannot go together. */
  constructor(files: TlsFiles) {
    if ((files.certFile === undefined) !== (files.keyFile === undefined)) {
      throw new Error('a client certificate for etcd needs its file and the file of its key');
    }
    this.#files = files;
  }

  /** New ones when a file has changed; while a change is half done (a certificate without its key) those of before. Throws an
   *  EtcdError for files that are of no use. */
  borrow(): Kept {
    const stamp = this.#stampNow();
    if (this.#current === undefined || stamp !== this.#stamp) {
      const before = this.#current;
      try {
        const secureContext = this.#read();
        const keep = { keepAlive: true, maxSockets: atOnce };
        this.#current = { http: new HttpAgent(keep), https: new HttpsAgent({ ...keep, secureContext }) };
        this.#users.set(this.#current, 0);
        this.#endUnused(before);
      } catch (error) {
        if (before === undefined || !(error instanceof EtcdError)) throw error;
      }
      this.#stamp = stamp;
    }
    const kept = this.#current!; // made, or the error was thrown
    this.#users.set(kept, this.#users.get(kept)! + 1);
    return kept;
  }

  giveBack(kept: Kept): void {
    this.#users.set(kept, (this.#users.get(kept) ?? 1) - 1);
    if (kept !== this.#current) this.#endUnused(kept);
  }

  /** Requests that run end with an error. */
  close(): void {
    for (const kept of this.#users.keys()) end(kept);
    this.#users.clear();
    this.#current = undefined;
  }

  /** A request that runs goes on with the certificates that it began with. */
  #endUnused(kept: Kept | undefined): void {
    if (kept === undefined || this.#users.get(kept) !== 0) return;
    this.#users.delete(kept);
    end(kept);
  }

  #stampNow(): string {
    const { caFile, certFile, keyFile } = this.#files;
    const paths = [caFile, certFile, keyFile].filter((path) => path !== undefined);
    return paths.map((path) => fileStamp(path)).join();
  }

  #read(): SecureContext {
    const { caFile, certFile, keyFile } = this.#files;
    const ca = content(caFile);
    const cert = content(certFile);
    const key = content(keyFile);
    try {
      return createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
    } catch (cause) {
      const paths = [caFile, certFile, keyFile].filter((path) => path !== undefined).join(', ');
      throw new EtcdError(
        'untrusted',
        `the files for etcd's TLS are of no use (${paths}): ${reason(cause)}. They have to be PEM, and the key that of the certificate`,
        { cause },
      );
    }
  }
}

function end({ http, https }: Kept): void {
  http.destroy();
  https.destroy();
}

function fileStamp(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found ? `${found.ino}:${found.size}:${found.mtimeMs}` : 'none';
}

function content(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EtcdError('untrusted', `the file ${path} for etcd's TLS cannot be read: ${reason(cause)}`, {
      cause,
    });
  }
}

function reason(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
