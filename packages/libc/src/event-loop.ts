/**
 * The event loop of a process that stays: descriptors and timers, over one poll(2). A plugin's call needs none of it. The
 * same code runs under Node and in the compiled program; nothing here makes a promise for an event, so that a daemon's
 * memory is given back as soon as it lets go of it.
 */
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';

/** include/uapi/asm-generic/poll.h */
const POLLIN = 1;
const POLLOUT = 4;
const EINTR = 4;
/** include/uapi/linux/time.h: it goes on while the machine sleeps, and nobody sets it. */
const CLOCK_BOOTTIME = 7;

/** A round makes some kB of such, and a collection looks at all there is: some milliseconds, and more where there is more. */
const roundsBetweenCollections = 256;

/** The part of the compiled program's engine (packages/engine) that we use. */
interface Engine {
  collectCycles(): void;
}

/** Milliseconds since the machine was started, the time that it slept included. */
export function bootMilliseconds(): number {
  libc().clock_gettime(CLOCK_BOOTTIME, timespec);
  return timespecNumbers.getUint32(0, true) * 1000 + Math.floor(timespecNumbers.getUint32(8, true) / 1e6);
}
const timespec = new Uint8Array(16);
const timespecNumbers = new DataView(timespec.buffer);

/** Something that is to be done at some time. */
export interface Timer {
  /** As bootMilliseconds. */
  readonly due: number;
  /** Undefined once it was cancelled or done. */
  run: (() => void) | undefined;
}

/** A descriptor that is looked at. */
export interface Watch {
  readonly fd: number;
  /** Called when there is something to read, an end of the stream and an error included. */
  readonly readable: () => void;
  /** Called when something can be written; undefined as long as nothing waits to be. */
  writable?: (() => void) | undefined;
}

export class EventLoop {
  readonly #watches: Watch[] = [];
  #timers: Timer[] = [];
  /** How many of the timers were cancelled. */
  #cancelled = 0;
  /** struct pollfd for each watch: made anew when the watches have changed. */
  #asked = new Uint8Array(64);
  #changed = true;
  #stopped = false;
  readonly #failed: (error: unknown) => void;

  /** `failed`: told what a callback throws; the loop goes on. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** Begins to look at a descriptor. */
  watch(watch: Watch): void {
    this.#watches.push(watch);
    this.#changed = true;
  }

  /** To be called after `writable` of a watch was set or unset. */
  changed(): void {
    this.#changed = true;
  }

  /** Looks at it no more: to be called before it is closed. Nothing happens when it was not looked at. */
  unwatch(watch: Watch): void {
    const at = this.#watches.indexOf(watch);
    if (at < 0) return;
    const last = this.#watches.pop()!;
    if (last !== watch) this.#watches[at] = last;
    this.#changed = true;
  }

  /** Does something at that time (bootMilliseconds), or at once if it is over; never within this call. */
  at(due: number, run: () => void): Timer {
    const timer: Timer = { due, run };
    pushTimer(this.#timers, timer);
    return timer;
  }

  /** It is not done any more; nothing happens when it was done already. */
  cancel(timer: Timer): void {
    if (!timer.run) return;
    timer.run = undefined;
    this.#cancelled++;
    // Those of hours from now must not gather.
    if (this.#cancelled < 64 || this.#cancelled * 2 < this.#timers.length) return;
    const all = this.#timers;
    this.#timers = [];
    this.#cancelled = 0;
    for (const one of all) if (one.run) pushTimer(this.#timers, one);
  }

  /** Does something after so many milliseconds. */
  after(milliseconds: number, run: () => void): Timer {
    return this.at(bootMilliseconds() + milliseconds, run);
  }

  /** How many timers there are, cancelled ones included that were not forgotten yet. */
  get pending(): number {
    return this.#timers.length;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Serves descriptors and timers until `stop` is called. Between two rounds the handlers of signals are run. */
  async run(): Promise<void> {
    const { engine } = globalThis as { engine?: Engine }; // reason: a global that only the compiled program has
    // A signal does not end a system call under Node, and its handler runs between two rounds.
    const longest = engine ? 60_000 : 50;
    let next = roundsBetweenCollections;
    for (let round = 1; !this.#stopped; round++) {
      this.#round(longest);
      // What has callbacks mostly refers to itself by them, and the engine does not see that by counting.
      if (round >= next) {
        engine?.collectCycles();
        next = round + roundsBetweenCollections + 2 * this.#watches.length;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #round(longest: number): void {
    const count = this.#watches.length;
    if (this.#changed) this.#ask();
    const ready = libc().poll(this.#asked, count, this.#wait(longest));
    if (ready < 0 && libc().errno() !== EINTR) throw new SyscallError('poll', libc().errno());
    if (ready > 0) this.#serve(ready, this.#watches.slice());
    this.#runTimers();
  }

  #ask(): void {
    const count = this.#watches.length;
    if (this.#asked.length < count * 8) this.#asked = new Uint8Array(count * 16);
    const asked = new DataView(this.#asked.buffer);
    for (let i = 0; i < count; i++) {
      const watch = this.#watches[i]!;
      asked.setInt32(i * 8, watch.fd, true);
      asked.setInt32(i * 8 + 4, watch.writable ? POLLIN | POLLOUT : POLLIN, true);
    }
    this.#changed = false;
  }

  /** Milliseconds until the next timer. */
  #wait(longest: number): number {
    while (this.#timers.length > 0 && !this.#timers[0]!.run) this.#pop();
    const next = this.#timers[0];
    return next ? Math.min(longest, Math.max(0, next.due - bootMilliseconds())) : longest;
  }

  #serve(ready: number, watches: readonly Watch[]): void {
    // struct pollfd: what came is the last of its four halves, in the byte order of both machines we know.
    const halves = new Uint16Array(this.#asked.buffer);
    let left = ready;
    for (let i = 0; i < watches.length && left > 0; i++) {
      const came = halves[i * 4 + 3]!;
      if (came === 0) continue;
      left--;
      const watch = watches[i]!;
      if (came & POLLOUT && this.#isWatched(watch)) this.#call(watch.writable);
      if (came & ~POLLOUT && this.#isWatched(watch)) this.#call(watch.readable);
    }
  }

  /** An earlier callback of this round may have closed it. */
  #isWatched(watch: Watch): boolean {
    return this.#watches.includes(watch);
  }

  #runTimers(): void {
    // Those that are made meanwhile wait for the next round, so that descriptors get their turn.
    const now = bootMilliseconds();
    const due: Timer[] = [];
    while (this.#timers.length > 0 && this.#timers[0]!.due <= now) due.push(this.#pop());
    for (const timer of due) {
      const { run } = timer;
      if (!run) continue;
      timer.run = undefined;
      this.#call(run);
    }
  }

  #pop(): Timer {
    const timer = popTimer(this.#timers);
    if (!timer.run) this.#cancelled--;
    return timer;
  }

  #call(callback: (() => void) | undefined): void {
    try {
      callback?.();
    } catch (error) {
      this.#failed(error);
    }
  }
}

/** A heap: none is due before the one it hangs from. */
function pushTimer(heap: Timer[], timer: Timer): void {
  let at = heap.length;
  heap.push(timer);
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]!.due <= timer.due) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = timer;
}

/** The one that is due first, of a heap that is not empty. */
function popTimer(heap: Timer[]): Timer {
  const first = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]!.due < heap[below]!.due) below++;
    if (heap[below]!.due >= last.due) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
  return first;
}
