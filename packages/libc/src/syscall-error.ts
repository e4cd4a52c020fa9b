import { errnoMessage, errnoName, errnoText } from './errno.ts';

/**
 * A system call, or a request to the kernel, that failed. `code` is what programs compare ('EEXIST'); the message
 * is the errno's usual text, and the kernel's own explanation where it gave one (NETLINK_EXT_ACK).
 */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  /** What was attempted: 'setns', 'RTM_NEWLINK', … */
  readonly call: string;
  /** The errno's name. */
  readonly code: string;
  /** The kernel's own words, '' when it had none. */
  readonly explanation: string;

  constructor(call: string, errno: number | string, explanation = '') {
    const text = typeof errno === 'number' ? errnoMessage(errno) : errnoText(errno);
    super(explanation ? `${text} (${explanation})` : text);
    this.call = call;
    this.code = typeof errno === 'number' ? errnoName(errno) : errno;
    this.explanation = explanation;
  }
}

/**
 * Whether the kernel refused what was asked, so that nothing was done. An answer that was not received ('recv': ENOBUFS,
 * or a wait that ended) says nothing of the kind: what it answered may have been done.
 */
export function wasRefused(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof SyscallError) return error.call !== 'recv';
  }
  return false;
}

/** The errno's name of a SyscallError or of an error of node:fs; undefined for anything else. */
export function errnoOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return undefined;
}

/** Makes what others may have made meanwhile: that it is there already is no failure. */
export function unlessThere(make: () => void): void {
  try {
    make();
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Whether nothing is at the path that was asked for: its last part is missing, or what leads there is no directory. */
export function isMissing(thrown: unknown): boolean {
  const code = errnoOf(thrown);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Runs a file operation of node:fs and turns its failure into `<operation> <path>: <errno text>`. */
export function fileError(operation: string, path: string, thrown: unknown): Error {
  const code = errnoOf(thrown);
  if (code === undefined) return thrown instanceof Error ? thrown : new Error(String(thrown));
  return Object.assign(new Error(`${operation} ${path}: ${errnoText(code)}`, { cause: thrown }), { code });
}
