import { errorText, messageOf } from './cni-error.ts';

/**
 * Says what was being done when something failed: `<what>: <why>`, with the failure as cause. Every level that
 * knows more than the one below wraps once.
 */
export function failing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** Runs every step whatever the others do, as DEL must, and throws what failed: one error as it is, several together. */
export async function tryAll(steps: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  throwAll(failures);
}

/** The same for work that is done at once for each of several: families, backends. */
export function tryEach<T>(all: Iterable<T>, work: (one: T) => void): void {
  const failures: unknown[] = [];
  for (const one of all) {
    try {
      work(one);
    } catch (error) {
      failures.push(error);
    }
  }
  throwAll(failures);
}

function throwAll(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length) throw new AggregateError(failures, failures.map(errorText).join('; '));
}
