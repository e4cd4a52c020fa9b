/** The one kind of error that leaves a plugin: a code, a sentence and details (spec, "Error"). */

/** Codes 0–99 belong to the spec; 8 and 999 are used by the reference library though the spec does not list them. */
export const ErrorCode = {
  /** Unspecified; also what a runtime sees when a plugin gave no code. */
  unknown: 0,
  incompatibleVersion: 1,
  unsupportedField: 2,
  /** The container is unknown; the runtime need not call DEL. */
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  invalidNetns: 8,
  tryAgainLater: 11,
  /** STATUS: the plugin cannot serve ADD. */
  pluginNotAvailable: 50,
  /** STATUS: the plugin cannot serve ADD, and containers it already serves may be impaired. */
  limitedConnectivity: 51,
  internal: 999,
} as const;

export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '', options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

/** STATUS: why a plugin cannot serve ADD, in the words and with the code that all plugins have for it. */
export function cannotServe(type: string, why: string, details = '', cause?: unknown): CniError {
  const options = cause === undefined ? undefined : { cause };
  return new CniError(ErrorCode.pluginNotAvailable, `${type} cannot serve ADD: ${why}`, details, options);
}

/** The form wrapped messages use: `msg`, or `msg; details`. */
export function oneLine(error: CniError): string {
  return error.details === '' ? error.message : `${error.message}; ${error.details}`;
}

/** What was thrown and what caused it, outermost first, as one sentence. Never throws. */
export function errorText(thrown: unknown): string {
  return textOf(thrown, new Set());
}

/** The thrown value itself if it is a CniError, else the first one among its causes and gathered errors. */
export function findCniError(thrown: unknown): CniError | undefined {
  return find(thrown, new Set());
}

/**
 * What the plugin answers for anything thrown. A CniError is answered as it is, even when something wrapped it;
 * anything else becomes code 999 with the causes in `details`. Where several failures were gathered in one
 * AggregateError, the first CniError gives the answer and the other failures are kept in `details`.
 */
export function toCniError(thrown: unknown): CniError {
  const found = findCniError(thrown);
  if (found === undefined) {
    const text = messageOf(thrown);
    return new CniError(ErrorCode.internal, text, restText(thrown, new Set([thrown]), text), {
      cause: thrown,
    });
  }
  const others = newTexts(oneLine(found), besides(found, thrown, new Set()).map(errorText));
  if (others.length === 0) return found;
  const details = [found.details, ...others].filter((text) => text !== '').join('; ');
  return new CniError(found.code, found.message, details, { cause: thrown });
}

function textOf(thrown: unknown, seen: Set<unknown>): string {
  seen.add(thrown);
  const text = thrown instanceof CniError ? oneLine(thrown) : messageOf(thrown);
  const rest = restText(thrown, seen, text);
  return rest === '' ? text : `${text}: ${rest}`;
}

/** What was thrown by itself, for a message that keeps it as its cause; `errorText` tells the causes, too. Never throws. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) {
    // An object without a prototype has no text of its own; `${…}` would throw while reporting an error.
    return typeof thrown === 'object' && thrown !== null
      ? Object.prototype.toString.call(thrown)
      : String(thrown);
  }
  if (thrown.message !== '') return thrown.message;
  return thrown instanceof AggregateError ? `${thrown.errors.length} failures` : thrown.name;
}

/** What is beneath, but for what is `said` already: a wrapper often ends with its cause's words, and saying them twice
 *  helps nobody. */
function restText(thrown: unknown, seen: Set<unknown>, said: string): string {
  const texts = beneath(thrown)
    .filter((inner) => !seen.has(inner))
    .map((inner) => textOf(inner, seen));
  return newTexts(said, texts).join('; ');
}

/** Those that tell something, each once. */
function newTexts(said: string, texts: readonly string[]): string[] {
  return texts.filter((text, at) => text !== '' && !said.includes(text) && texts.indexOf(text) === at);
}

function find(thrown: unknown, seen: Set<unknown>): CniError | undefined {
  if (thrown instanceof CniError) return thrown;
  if (seen.has(thrown)) return undefined;
  seen.add(thrown);
  for (const inner of beneath(thrown)) {
    const found = find(inner, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The failures gathered next to `found` on the way to it; plain wrappers of `found` are not failures of their own. */
function besides(found: CniError, thrown: unknown, seen: Set<unknown>): unknown[] {
  if (thrown === found || seen.has(thrown)) return [];
  seen.add(thrown);
  return beneath(thrown).flatMap((inner) =>
    findCniError(inner) === found ? besides(found, inner, seen) : [inner],
  );
}

function beneath(thrown: unknown): unknown[] {
  if (!(thrown instanceof Error)) return [];
  const gathered: unknown[] = thrown instanceof AggregateError ? thrown.errors : [];
  return thrown.cause === undefined ? gathered : [thrown.cause, ...gathered];
}
