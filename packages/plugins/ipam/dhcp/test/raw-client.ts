/** For tests: the daemon's socket as bytes. */
import { connect, type Socket } from 'node:net';
import { GobReader, readUint } from '../src/gob-reader.ts';
import type { GobObject } from '../src/gob-types.ts';
import { GobWriter } from '../src/gob-writer.ts';
import { argumentsType, hello, requestType, welcome } from '../src/rpc-types.ts';

export class RawClient {
  readonly socket: Socket;
  readonly #writer = new GobWriter();
  readonly #reader = new GobReader();
  #came: Buffer = Buffer.alloc(0);
  #heard: () => void = () => {};
  closed = false;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on('data', (data) => {
      this.#came = Buffer.concat([this.#came, Buffer.from(data)]);
      this.#heard();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  say(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  async greet(): Promise<void> {
    this.say(hello);
    await this.#until(() => this.#came.length >= welcome.length);
    if (!this.#came.toString().startsWith(welcome)) throw new Error(this.#came.toString());
    this.#came = this.#came.subarray(welcome.length);
  }

  request(method: string, sequence: number, args: GobObject): void {
    this.say(this.#writer.message(requestType, { ServiceMethod: method, Seq: sequence }));
    this.say(this.#writer.message(argumentsType, args));
  }

  /** The next answer: head and body. */
  async answer(milliseconds = 5000): Promise<[head: GobObject, body: GobObject]> {
    return [await this.#value(milliseconds), await this.#value(milliseconds)];
  }

  async text(): Promise<string> {
    await this.#until(() => this.closed);
    return this.#came.toString();
  }

  async #value(milliseconds: number): Promise<GobObject> {
    for (;;) {
      const length = readUint(this.#came, 0);
      const end = length ? length.end + length.value : Number.POSITIVE_INFINITY;
      if (!length || this.#came.length < end) {
        const before = this.#came.length;
        await this.#until(() => this.#came.length > before, milliseconds);
        continue;
      }
      const value = this.#reader.read(this.#came.subarray(length.end, end));
      this.#came = this.#came.subarray(end);
      if (value) return value;
    }
  }

  async #until(holds: () => boolean, milliseconds = 5000): Promise<void> {
    for (const end = Date.now() + milliseconds; Date.now() < end; ) {
      if (holds()) return;
      await new Promise<void>((done) => {
        this.#heard = done;
        setTimeout(done, 20);
      });
    }
    throw new Error(`the daemon has not answered for ${milliseconds} ms`);
  }
}
