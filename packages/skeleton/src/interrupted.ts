/** What an ADD answers that a signal stopped, and how one that delegated to it knows. */
import { interruptionIn } from '@cni-ts/libc/interruption';
import { CniError, ErrorCode, errorText, findCniError } from '@cni-ts/spec/cni-error';

const clean = '; everything this ADD had made was undone';
const unclean = '; not everything this ADD had made could be undone';

/** That the process was asked to stop before its ADD was done. */
export class Stopped extends Error {
  readonly details: string;

  /** `how`: `interrupted by SIGTERM`, and at what. */
  constructor(how: string, details = '') {
    super(how);
    this.details = details;
  }

  /** `undone`: whether nothing is left of the ADD. */
  answer(undone: boolean): CniError {
    const outcome = undone ? clean : unclean;
    return new CniError(ErrorCode.tryAgainLater, this.message + outcome, this.details, { cause: this });
  }
}

/** What stopped an ADD that ended by this, if something did; `signal`: that came meanwhile. */
export function stopOf(thrown: unknown, signal: string | undefined): Stopped | undefined {
  if (thrown instanceof Stopped) return thrown;
  const interruption = interruptionIn(thrown);
  if (interruption) return new Stopped(interruption.message);
  if (signal === undefined) return undefined;
  // A delegate says more, where it was at.
  const failure = findCniError(thrown);
  const of = failure && [clean, unclean].find((outcome) => failure.message.endsWith(outcome));
  if (failure?.code === ErrorCode.tryAgainLater && of) {
    return new Stopped(failure.message.slice(0, -of.length), failure.details);
  }
  return new Stopped(`interrupted by ${signal}`, errorText(thrown));
}

/** Whether a delegate's failed ADD says that it was stopped and has left nothing. */
export function wasUndone(failure: CniError): boolean {
  return failure.code === ErrorCode.tryAgainLater && failure.message.endsWith(clean);
}

/** The answer of any other verb that a signal stopped; undefined for what is no interruption. */
export function interruptedAnswer(thrown: unknown): CniError | undefined {
  const interruption = interruptionIn(thrown);
  if (!interruption) return undefined;
  return new CniError(ErrorCode.tryAgainLater, `${interruption.message}; call it again`, '', {
    cause: thrown,
  });
}
