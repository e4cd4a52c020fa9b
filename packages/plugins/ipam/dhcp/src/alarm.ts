import type { EventLoop, Timer } from '@cni-ts/libc/event-loop';

/** One thing that is to be done later; who sets it again means then instead. */
export class Alarm {
  readonly #loop: EventLoop;
  #timer: Timer | undefined;

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  /** Whether it was set, and not cancelled since. */
  get isSet(): boolean {
    return this.#timer !== undefined;
  }

  /** At that time (bootMilliseconds); undefined: not at all. */
  at(due: number | undefined, run: () => void): void {
    this.cancel();
    if (due !== undefined) this.#timer = this.#loop.at(due, run);
  }

  /** After so many milliseconds. */
  after(milliseconds: number, run: () => void): void {
    this.cancel();
    this.#timer = this.#loop.after(milliseconds, run);
  }

  cancel(): void {
    if (this.#timer) this.#loop.cancel(this.#timer);
    this.#timer = undefined;
  }
}
