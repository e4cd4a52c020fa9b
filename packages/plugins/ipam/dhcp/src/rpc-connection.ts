/** One client of the daemon: its words as they come, and the answers to its calls. Nothing here waits. */

import type { EventLoop, Watch } from '@cni-ts/libc/event-loop';
import type { UnixConnection } from '@cni-ts/libc/unix-listener';
import { Alarm } from './alarm.ts';
import { GobReader, readUint } from './gob-reader.ts';
import type { GobObject, GobStruct } from './gob-types.ts';
import { GobWriter } from './gob-writer.ts';
import { hello, nothing, responseType, welcome } from './rpc-types.ts';

/** A network's configuration with its prevResult has a few KiB. */
const longestMessage = 2 ** 20;
/** A runtime that adds a hundred containers uses a connection for each. */
const mostCalls = 64;
/** Who has asked for nothing for so long is let go; milliseconds. */
const patience = 60_000;

export interface Call {
  readonly method: string;
  readonly args: GobObject;
  /** One of these, once. False where the client is gone, and will never know. */
  answer(type?: GobStruct, value?: GobObject): boolean;
  fail(text: string): boolean;
  /** Called when the client goes before it has an answer. */
  abandoned: (() => void) | undefined;
}

export class RpcConnection {
  readonly #loop: EventLoop;
  readonly #stream: UnixConnection;
  readonly #serve: (call: Call) => void;
  readonly #ended: () => void;
  readonly #watch: Watch;
  readonly #reader = new GobReader();
  readonly #writer = new GobWriter();
  readonly #calls = new Set<Call>();
  #greeted = false;
  #request: GobObject | undefined;
  #came = new Uint8Array(0);
  #toWrite = new Uint8Array(0);
  readonly #idle: Alarm;
  #closed = false;

  constructor(loop: EventLoop, stream: UnixConnection, serve: (call: Call) => void, ended: () => void) {
    this.#loop = loop;
    this.#stream = stream;
    this.#serve = serve;
    this.#ended = ended;
    this.#idle = new Alarm(loop);
    this.#watch = { fd: stream.fd, readable: () => this.#readable() };
    loop.watch(this.#watch);
    this.#rest();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#loop.unwatch(this.#watch);
    this.#idle.cancel();
    this.#stream.close();
    for (const { abandoned } of this.#calls) abandoned?.();
    this.#calls.clear();
    this.#ended();
  }

  #rest(): void {
    this.#idle.cancel();
    if (this.#calls.size === 0) this.#idle.after(patience, () => this.close());
  }

  #readable(): void {
    const part = new Uint8Array(16384);
    const got = this.#stream.read(part);
    if (got === undefined) return;
    if (got === 0) {
      this.close();
      return;
    }
    const all = new Uint8Array(this.#came.length + got);
    all.set(this.#came);
    all.set(part.subarray(0, got), this.#came.length);
    this.#came = all;
    try {
      this.#understand();
    } catch (error) {
      // Somebody who does not speak this protocol: what follows cannot be told apart.
      this.close();
      throw error;
    }
  }

  #understand(): void {
    if (!this.#greeted && !this.#greet()) return;
    let at = 0;
    while (!this.#closed) {
      const length = readUint(this.#came, at);
      if (!length) break;
      if (length.value > longestMessage)
        throw new Error(
          `a client of the DHCP daemon sent a message of ${length.value} bytes and was sent away`,
        );
      const end = length.end + length.value;
      if (end > this.#came.length) break;
      const value = this.#reader.read(this.#came.subarray(length.end, end));
      at = end;
      if (value) this.#take(value);
    }
    if (at > 0) this.#came = this.#came.slice(at);
  }

  /** The HTTP request that each conversation begins with. False as long as it is not there. */
  #greet(): boolean {
    const text = new TextDecoder().decode(this.#came.subarray(0, 4096)).replaceAll('\r', '');
    const end = text.indexOf('\n\n');
    if (end < 0) {
      if (this.#came.length > 4096) this.close();
      return false;
    }
    if (!text.startsWith(hello.slice(0, hello.indexOf(' HTTP')))) {
      const connects = text.startsWith('CONNECT ');
      const isPath = text.includes(' /_goRPC_ ');
      const reply =
        isPath && !connects
          ? 'HTTP/1.0 405 Method Not Allowed\n\n405 must CONNECT\n'
          : 'HTTP/1.0 404 Not Found\n\n404 page not found\n';
      this.#write(new TextEncoder().encode(reply));
      this.close();
      return false;
    }
    // The header may have had carriage returns, so its end is looked for in what came.
    let at = 0;
    for (let lineLength = 0; at < this.#came.length; at++) {
      const byte = this.#came[at];
      if (byte === 13) continue;
      if (byte !== 10) lineLength++;
      else if (lineLength === 0) break;
      else lineLength = 0;
    }
    this.#came = this.#came.slice(at + 1);
    this.#greeted = true;
    this.#write(new TextEncoder().encode(welcome));
    return true;
  }

  /** A request, or the body that follows it. */
  #take(value: GobObject): void {
    if (!this.#request) {
      this.#request = value;
      return;
    }
    const { ServiceMethod: method = '', Seq: sequence = 0 } = this.#request;
    this.#request = undefined;
    if (this.#calls.size >= mostCalls) {
      this.close();
      return;
    }
    const reply = (error: string, type: GobStruct, body: GobObject): boolean => {
      if (this.#closed || !this.#calls.delete(call)) return false;
      const head = { ServiceMethod: method, Seq: sequence, Error: error };
      const sent = this.#write(this.#writer.pair(responseType, head, type, body));
      if (!this.#closed) this.#rest();
      return sent;
    };
    const call: Call = {
      method: String(method),
      args: value,
      answer: (type = nothing, body = {}) => reply('', type, body),
      fail: (text) => reply(text, nothing, {}),
      abandoned: undefined,
    };
    this.#calls.add(call);
    this.#idle.cancel();
    this.#serve(call);
  }

  /** What cannot be sent at once is sent when there is room. False where the other end is gone. */
  #write(bytes: Uint8Array): boolean {
    const all = new Uint8Array(this.#toWrite.length + bytes.length);
    all.set(this.#toWrite);
    all.set(bytes, this.#toWrite.length);
    this.#toWrite = all;
    return this.#flush();
  }

  #flush(): boolean {
    while (this.#toWrite.length > 0) {
      const sent = this.#stream.write(this.#toWrite);
      if (sent === undefined || this.#toWrite.length > longestMessage) {
        this.close();
        return false;
      }
      if (sent === 0) break;
      this.#toWrite = this.#toWrite.slice(sent);
    }
    const writable = this.#toWrite.length > 0 ? () => void this.#flush() : undefined;
    if ((writable === undefined) !== (this.#watch.writable === undefined)) {
      this.#watch.writable = writable;
      this.#loop.changed();
    }
    return true;
  }
}
