/**
 * What plugins, and the libraries they use, take for granted in a JavaScript engine and QuickJS does not have: text
 * encoding, timers, `process`. Evaluated first in the compiled program, and only there; as much as the program uses.
 */
import type { Engine } from './engine.ts';

// reason: a global that is there wherever this file is evaluated
const { engine } = globalThis as unknown as { engine: Engine };

const { libc } = engine;

class Encoder {
  readonly encoding = 'utf-8';
  encode(text = ''): Uint8Array<ArrayBuffer> {
    return engine.encode(text);
  }
}

class Decoder {
  readonly encoding = 'utf-8';
  readonly #keepMark: boolean;
  constructor(_encoding?: string, options?: { ignoreBOM?: boolean }) {
    this.#keepMark = options?.ignoreBOM === true;
  }
  decode(bytes?: Uint8Array): string {
    const text = bytes === undefined ? '' : engine.decode(bytes);
    return !this.#keepMark && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}

/** structuredClone of what JSON can say and what is undefined: nothing else is cloned here. */
function clone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(clone);
  const copy: Record<string, unknown> = { ...value };
  for (const key in copy) if (typeof copy[key] === 'object') copy[key] = clone(copy[key]);
  return copy;
}

interface Timer {
  readonly due: number;
  readonly run: () => void;
}
let timers: Timer[] = [];

type Listener = (name: string) => void;
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
const listeners = new Map<keyof typeof signals, readonly Listener[]>();

function schedule(run: () => void, delay = 0): Timer {
  const timer = { due: engine.now() + delay, run };
  timers.push(timer);
  return timer;
}

/** One turn of the event loop: signals that came, then the timer that is due first. The process ends when none is
 *  left, as it does where listeners for signals alone keep nothing alive. */
function turn(): number | undefined {
  for (const [name, heard] of listeners) {
    if (engine.takeSignal(signals[name])) for (const listener of heard) listener(name);
  }
  if (timers.length === 0) return program.exitCode ?? 0;
  const next = timers.reduce((a, b) => (b.due < a.due ? b : a));
  const wait = next.due - engine.now();
  // A signal ends the waiting, and the next turn finds it.
  if (wait > 0) libc.poll(new Uint8Array(8), 0, Math.ceil(wait));
  else {
    timers = timers.filter((timer) => timer !== next);
    next.run();
  }
  return undefined;
}

function listen(name: keyof typeof signals, change: (heard: readonly Listener[]) => Listener[]): void {
  const heard = change(listeners.get(name) ?? []);
  listeners.set(name, heard);
  engine.holdSignal(signals[name], heard.length > 0);
}

/** All of it; that nobody reads it is not told to who uses these. */
function print(descriptor: number, text: string): void {
  let rest = engine.encode(text);
  while (rest.length > 0) {
    const written = libc.write(descriptor, rest, rest.length);
    if (written < 0) return;
    rest = rest.subarray(written);
  }
}

/** What the engine has once a call is served. */
function ofTheCall<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new TypeError(`${what} asked for while the program is prepared: ask in the call that needs it`);
}

/** The part of Node's `process` that the program uses. */
interface Program {
  exitCode: number | undefined;
  [name: string]: unknown;
}
const program: Program = {
  exitCode: undefined,
  arch: engine.arch,
  get argv0() {
    return ofTheCall(engine.args, 'the command line')[0] ?? '';
  },
  /** Leads to the file, which is all that is asked of it; its name may be another's by now. */
  execPath: '/proc/self/exe',
  get argv() {
    return [this.argv0, ...ofTheCall(engine.args, 'the command line')];
  },
  get env() {
    return ofTheCall(engine.environment, 'the environment');
  },
  get pid() {
    return libc.getpid();
  },
  getuid: () => libc.getuid(),
  exit: (status?: number) => libc._exit(status ?? program.exitCode ?? 0),
  stdout: { write: (text: string) => print(1, text) },
  stderr: { write: (text: string) => print(2, text) },
  on(name: keyof typeof signals, listener: Listener) {
    listen(name, (heard) => [...heard, listener]);
  },
  off(name: keyof typeof signals, listener: Listener) {
    listen(name, (heard) => heard.filter((one) => one !== listener));
  },
};

engine.turn = turn;
Math.random = engine.random;
Object.assign(globalThis, {
  TextEncoder: Encoder,
  TextDecoder: Decoder,
  structuredClone: clone,
  performance: { now: engine.now },
  setTimeout: schedule,
  setImmediate: schedule,
  clearTimeout(timer: Timer) {
    timers = timers.filter((one) => one !== timer);
  },
  process: program,
});
