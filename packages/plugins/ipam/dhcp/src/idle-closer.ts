import type { EventLoop } from '@cni-ts/libc/event-loop';

/** Between two closings, milliseconds. */
const pause = 5;

interface Closable {
  close(): void;
}

/**
 * Closes packet sockets one after the other. The kernel keeps who closes one waiting for 10 to 20 ms, until no processor
 * looks at it any more; meanwhile the daemon does nothing else, so what others wait for is done between two of them.
 */
export class IdleCloser {
  readonly #loop: EventLoop;
  readonly #queue: Closable[] = [];

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  close(one: Closable): void {
    if (this.#queue.push(one) === 1) this.#next();
  }

  #next(): void {
    this.#loop.after(pause, () => {
      this.#queue[0]?.close();
      this.#queue.shift();
      if (this.#queue.length > 0) this.#next();
    });
  }
}
