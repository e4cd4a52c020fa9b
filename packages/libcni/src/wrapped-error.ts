/** Errors that say what was being done and keep what went wrong reachable through `cause`. */
import { CniError, messageOf, oneLine } from '@cni-ts/spec/cni-error';

/** `‹doing›: ‹cause›`, in the words callers of the reference library match on. */
export function wrapped(doing: string, cause: unknown): Error {
  return new Error(`${doing}: ${textOf(cause)}`, { cause });
}

/** What wrapped messages quote: `msg` or `msg; details` of a CNI error, the message of any other. */
export function textOf(thrown: unknown): string {
  return thrown instanceof CniError ? oneLine(thrown) : messageOf(thrown);
}

/** What `work` throws is told as a failure of what was being done. */
export function during<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw wrapped(doing, error);
  }
}
