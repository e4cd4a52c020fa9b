/** The agent's unix socket: a question is a line of JSON, its answer another. Whoever says nothing, or without an end, is not
 *  waited for. */
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const mostConnections = 4096;
/** An import of many addresses is the longest. */
const mostBytes = 32 * 2 ** 20;
const silenceMs = 5000;
const endMs = 2000;
const mostTries = 5;

export interface DoorOptions {
  readonly path: string;
  /** The answer's line; undefined for what wants none. `signal`: who asked has gone, or the time is over. */
  readonly answer: (line: string, signal: AbortSignal) => Promise<string | undefined>;
  readonly tell: (sentence: string) => void;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #busy = new Set<Promise<void>>();
  #closing = false;

  private constructor(options: DoorOptions) {
    this.#options = options;
    // A hint is closed by its sender at once, and is heard all the same.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#comes(socket));
    this.#server.maxConnections = mostConnections;
  }

  /** Listens. `fd`: of systemd. What lies at the path and is nobody's any more is removed. Throws where an agent listens. */
  static async open(options: DoorOptions, fd?: number): Promise<Door> {
    const door = new Door(options);
    if (fd === undefined) await clear(options.path);
    await new Promise<void>((done, fail) => {
      door.#server.once('error', fail);
      const target = fd === undefined ? { path: `${options.path}.new`, backlog: 1024 } : { fd };
      door.#server.listen(target, () => done());
    });
    door.#server.on('error', (error) => options.tell(`the socket ${options.path}: ${error.message}`));
    if (fd === undefined) {
      // It is there at once with its mode, and in the place of what an agent left that was killed.
      chmodSync(`${options.path}.new`, 0o660);
      renameSync(`${options.path}.new`, options.path);
    }
    return door;
  }

  /** No question comes in any more; those that have are answered. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.#open) if (!socket.destroyed && this.#isIdle(socket)) socket.destroy();
    await Promise.race([
      Promise.allSettled([...this.#busy]),
      new Promise((done) => setTimeout(done, endMs).unref()),
    ]);
    for (const socket of this.#open) socket.destroySoon();
    await Promise.race([closed, new Promise((done) => setTimeout(done, 200).unref())]);
    for (const socket of this.#open) socket.destroy();
  }

  readonly #asking = new WeakSet<Socket>();
  #isIdle(socket: Socket): boolean {
    return !this.#asking.has(socket);
  }

  #comes(socket: Socket): void {
    this.#open.add(socket);
    const gone = new AbortController();
    socket.setTimeout(silenceMs, () => socket.destroy());
    socket.on('error', () => socket.destroy()); // who asked has gone: nobody to tell
    socket.on('close', () => {
      this.#open.delete(socket);
      gone.abort();
    });
    const parts: Buffer[] = [];
    let length = 0;
    const hear = (part: Buffer) => {
      length += part.length;
      parts.push(part);
      const end = part.indexOf(10);
      if (end < 0) {
        if (length > mostBytes) socket.destroy();
        return;
      }
      // One question for each connection.
      socket.off('data', hear);
      socket.resume();
      socket.setTimeout(0);
      const whole = Buffer.concat(parts);
      const line = whole.toString('utf8', 0, length - part.length + end);
      this.#asking.add(socket);
      const work = this.#answers(socket, line, gone.signal).finally(() => this.#busy.delete(work));
      this.#busy.add(work);
    };
    socket.on('data', hear);
    socket.on('end', () => {
      if (!this.#asking.has(socket)) socket.destroy();
    });
  }

  async #answers(socket: Socket, line: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#options.answer(line, signal);
    if (socket.destroyed) return;
    socket.setTimeout(this.#closing ? endMs : silenceMs, () => socket.destroy());
    // Who does not read is not waited for.
    if (answer === undefined) socket.destroy();
    else socket.end(`${answer}\n`);
  }
}

/** Removes a socket that nobody listens on. Throws a sentence where somebody does. */
async function clear(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  // One that is ending has closed it in a moment.
  for (let tries = 1; await isAnswered(path); tries++) {
    if (tries === mostTries) {
      throw new Error(
        `another cluster-agent listens at ${path}: end it first, or give this one a --socket of its own`,
      );
    }
    await pause(100);
  }
  rmSync(`${path}.new`, { force: true });
}

/** Whether somebody listens there. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    const end = (answered: boolean) => {
      socket.destroy();
      done(answered);
    };
    socket.on('connect', () => end(true));
    // A unix socket is connected at once, or not: EAGAIN tells that more wait than it takes.
    socket.on('error', (error) => end('code' in error && error.code === 'EAGAIN'));
  });
}
