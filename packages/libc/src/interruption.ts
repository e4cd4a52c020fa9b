/**
 * A signal that asks the process to stop ends what it waits for. The compiled program's engine makes system calls that
 * wait come back with EINTR then; whoever waits asks here whether to wait on. Under Node system calls go on after a
 * signal, and nothing here is ever asked.
 */
import { signalName } from './signal.ts';

/** The part of the compiled program's engine (packages/engine) that we use. */
interface Engine {
  interruption(milliseconds: number): number;
}

/** What undoes things may wait, too, but not for ever: so long after the signal was told to who waited then. */
const patienceMs = 3000;

/** Waiting that a signal ended. Nothing is known of what was waited for. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** As in SIGTERM. */
  readonly signal: string;
  /** What was waited for: `the lock /run/…`. */
  readonly awaited: string;

  constructor(signal: string, awaited: string) {
    super(`interrupted by ${signal} while waiting for ${awaited}`);
    this.signal = signal;
    this.awaited = awaited;
  }
}

/**
 * The signal for which to stop waiting, if there is one: told once, to the first who asks after it came, and to who still
 * waits so many milliseconds later.
 */
export function askedToStop(milliseconds: number): string | undefined {
  const { engine } = globalThis as { engine?: Engine }; // reason: a global that only the compiled program has
  const signal = engine?.interruption(milliseconds) ?? 0;
  return signal === 0 ? undefined : signalName(signal);
}

/** The signal that asked the process to stop, if one has; from now on waiting undoes things. */
export function stopSignal(): string | undefined {
  return askedToStop(-1);
}

/** To be called when a system call said EINTR, before it is called again. Throws Interrupted. */
export function waitOn(awaited: string): void {
  const signal = askedToStop(patienceMs);
  if (signal !== undefined) throw new Interrupted(signal, awaited);
}

/** The interruption that an error was made of. */
export function interruptionIn(thrown: unknown): Interrupted | undefined {
  let error = thrown;
  // Bounded: an error can be made its own cause.
  for (let depth = 0; depth < 20 && error instanceof Error; depth++) {
    if (error instanceof Interrupted) return error;
    if (error instanceof AggregateError) {
      for (const one of error.errors) {
        const found = one === error ? undefined : interruptionIn(one);
        if (found) return found;
      }
    }
    error = error.cause;
  }
  return undefined;
}
