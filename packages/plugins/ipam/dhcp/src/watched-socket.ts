import type { Watch } from '@cni-ts/libc/event-loop';
import { messageOf } from '@cni-ts/spec/cni-error';
import type { Around } from './around.ts';

interface Closable {
  readonly fd: number;
  close(): void;
}

/** How a socket is opened, and what is told when it cannot be: the link went away meanwhile, somebody else has the port,
 *  or there are no descriptors left. That is as a packet that was lost. */
export interface Opening<S> {
  open(): S;
  readonly failure: () => string;
  /** There is something to read. */
  readable(): void;
  /** In place of closing it at once. */
  close?(socket: S): void;
}

/** A socket that is open while something is waited for, which the daemon's loop then looks at. */
export class WatchedSocket<S extends Closable> {
  readonly #around: Around;
  readonly #opening: Opening<S>;
  #opened: { readonly socket: S; readonly watch: Watch } | undefined;

  constructor(around: Around, opening: Opening<S>) {
    this.#around = around;
    this.#opening = opening;
  }

  /** Undefined while it is not open. */
  get socket(): S | undefined {
    return this.#opened?.socket;
  }

  /** Opens it where it is not open; undefined where it cannot be. */
  open(): S | undefined {
    if (this.#opened) return this.#opened.socket;
    try {
      const socket = this.#opening.open();
      const watch = { fd: socket.fd, readable: () => this.#opening.readable() };
      this.#opened = { socket, watch };
      this.#around.loop.watch(watch);
      return socket;
    } catch (error) {
      this.#around.log(`${this.#opening.failure()}: ${messageOf(error)}`);
      return undefined;
    }
  }

  close(): void {
    if (!this.#opened) return;
    const { socket, watch } = this.#opened;
    this.#opened = undefined;
    this.#around.loop.unwatch(watch);
    if (this.#opening.close) this.#opening.close(socket);
    else socket.close();
  }
}
