/** What a caller of an operation may ask for, and what an operation makes of it. */
import type { SpanContext } from './trace-context.ts';

export interface CallOptions {
  /** Stops the operation: a running plugin is killed, later ones are not started, the cache stays as it is. */
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole operation; no limit unless given. */
  readonly timeout?: number;
  /** The span plugins are to make theirs a part of. */
  readonly span?: SpanContext;
}

export interface AddOptions extends CallOptions {
  /**
   * Runs DEL when ADD fails, on the plugin that failed and those before it, last first: for a caller who will not call
   * DEL himself. Not where the attachment was there before, for then DEL would take a living one.
   */
  readonly takeBack?: boolean;
}

/** One operation's view of its options: a single signal from both of them. */
export interface Call {
  readonly signal: AbortSignal | undefined;
  readonly span: SpanContext | undefined;
}

export function callOf(options: CallOptions = {}): Call {
  const { signal, timeout, span } = options;
  const signals = [signal, timeout === undefined ? undefined : AbortSignal.timeout(timeout)];
  const given = signals.filter((one) => one !== undefined);
  return { signal: given.length > 1 ? AbortSignal.any(given) : given[0], span };
}
