/** The plugin's side of the daemon's socket: one call, which is waited for. */
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { UnixSocket } from '@cni-ts/libc/unix-socket';
import { CniError, ErrorCode, messageOf } from '@cni-ts/spec/cni-error';
import { GobReader, readUint } from './gob-reader.ts';
import type { GobObject } from './gob-types.ts';
import { GobWriter } from './gob-writer.ts';
import { argumentsType, hello, requestType, welcome } from './rpc-types.ts';

/** A daemon that is asked for a lease takes as long as its own flags allow, 208 s unless told; then it answers. */
const longestAnswerMs = 30 * 60_000;
/** To somebody who connects it answers at once. */
const longestGreetingMs = 10_000;
/** include/uapi/linux/un.h, less the zero at the end. */
const longestPath = 107;

export const howToStart =
  'start it: "systemctl start cni-dhcp.socket", or run "dhcp daemon" as a service of the node';

/** The daemon has no such method: it is the reference's. */
export class UnknownMethod extends Error {}

export class RpcClient {
  readonly #socket: UnixSocket;
  readonly #path: string;
  readonly #reader = new GobReader();
  readonly #writer = new GobWriter();
  #came = new Uint8Array(0);
  #sequence = 0;

  private constructor(socket: UnixSocket, path: string) {
    this.#socket = socket;
    this.#path = path;
  }

  /** Throws CniError `error dialing DHCP daemon: dial unix <path>: connect: …`. */
  static connect(path: string): RpcClient {
    const length = new TextEncoder().encode(path).length;
    if (length > longestPath) {
      throw new CniError(
        ErrorCode.invalidConfig,
        `error dialing DHCP daemon: dial unix ${path}: a socket's path has at most ${longestPath} bytes, this one ${length}`,
        'choose a shorter one in ipam.daemonSocketPath and in the daemon’s flag -socketpath',
      );
    }
    let socket: UnixSocket;
    try {
      socket = UnixSocket.connect(path, longestGreetingMs);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      const message = `error dialing DHCP daemon: dial unix ${path}: connect: ${messageOf(error)}`;
      throw new CniError(ErrorCode.internal, message, `no DHCP daemon is there; ${howToStart}`, {
        cause: error,
      });
    }
    const client = new RpcClient(socket, path);
    try {
      client.#greet();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  #greet(): void {
    this.#socket.write(new TextEncoder().encode(hello));
    while (this.#came.length < welcome.length) this.#more(longestGreetingMs);
    const text = new TextDecoder().decode(this.#came.subarray(0, welcome.length));
    if (text !== welcome)
      throw new Error(`what answers at ${this.#path} is no DHCP daemon: it said ${JSON.stringify(text)}`);
    this.#came = this.#came.slice(welcome.length);
  }

  /**
   * The answer's body. Throws an Error with the daemon's text, UnknownMethod, or CniError where the daemon went away
   * meanwhile.
   */
  call(method: string, args: GobObject): GobObject {
    const sequence = this.#sequence++;
    const head = { ServiceMethod: method, Seq: sequence };
    this.#socket.write(this.#writer.pair(requestType, head, argumentsType, args));
    const response = this.#value();
    const body = this.#value();
    const { Error: text = '' } = response;
    if (typeof text === 'string' && text.startsWith("rpc: can't find method")) throw new UnknownMethod(text);
    if (text !== '') throw new Error(String(text));
    return body;
  }

  close(): void {
    this.#socket.close();
  }

  #value(): GobObject {
    for (;;) {
      const length = readUint(this.#came, 0);
      if (length && this.#came.length >= length.end + length.value) {
        const end = length.end + length.value;
        const value = this.#reader.read(this.#came.slice(length.end, end));
        this.#came = this.#came.slice(end);
        if (value) return value;
      } else this.#more(longestAnswerMs);
    }
  }

  #more(milliseconds: number): void {
    const part = this.#socket.read(milliseconds);
    if (part === undefined || part.length === 0) {
      const what = part
        ? 'closed the connection before it had answered'
        : `has not answered for ${milliseconds / 1000} s`;
      throw new CniError(
        ErrorCode.tryAgainLater,
        `the DHCP daemon at ${this.#path} ${what}`,
        'it may have been restarted; its log says more. Try again',
      );
    }
    const all = new Uint8Array(this.#came.length + part.length);
    all.set(this.#came);
    all.set(part, this.#came.length);
    this.#came = all;
  }
}
