/** How many calls one side made in a scenario, and what became of those that failed: a call that fails has no time, and
 *  ends neither its round nor the run. */
import { WrongResult } from './check.ts';

/** The failed calls of a row. */
export interface Failures {
  /** How many failed, of how many that were made. */
  readonly count: number;
  readonly made: number;
  /** How many of them succeeded when they were called again. */
  readonly mended: number;
  /** What the first one said. */
  readonly why: string;
}

export class Calls {
  /** What was found there that must not be, or was missing: no plugin said that it failed. */
  readonly wrong: string[] = [];
  #made = new Map<string, number>();
  #failed = new Map<string, { count: number; mended: number; why: string }>();

  /** `of`: the row it belongs to. */
  made(of: string, count = 1): void {
    this.#made.set(of, (this.#made.get(of) ?? 0) + count);
  }

  failed(of: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof WrongResult) this.wrong.push(why);
    const known = this.#failed.get(of);
    if (known) known.count++;
    else this.#failed.set(of, { count: 1, mended: 0, why });
  }

  /** A failed call succeeded when it was repeated. */
  mended(of: string, count = 1): void {
    const known = this.#failed.get(of);
    if (known) known.mended += count;
  }

  /** By row; only those of which any failed. */
  failures(): ReadonlyMap<string, Failures> {
    const all = [...this.#failed].map(
      ([of, failed]) => [of, { ...failed, made: Math.max(this.#made.get(of) ?? 0, failed.count) }] as const,
    );
    return new Map(all);
  }
}
