/** What a plugin's answer must be like, whatever it was asked. */

export type Verb = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS' | 'VERSION';

export interface Seen {
  /** Exit status, 128 and more for a signal; undefined: it was still running. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Undefined when all is well, a sentence otherwise. `mute`: its output was closed or could not be written to. */
export function fault(
  verb: Verb | string,
  { status, stdout, stderr }: Seen,
  mute = false,
): string | undefined {
  if (status === undefined) return 'it did not end in time';
  if (status >= 128) return `a signal ended it: ${status - 128}`;
  if (status !== 0 && status !== 1) return `exit status ${status}`;
  const trace =
    /^\s+at \S|InternalError|RangeError|TypeError|SyntaxError|ReferenceError|is not a function|is not defined|cannot read propert|quickjs/im;
  const found = trace.exec(stdout) ?? trace.exec(stderr);
  if (found) return `words of the engine: ${clip(found[0])}`;
  if (mute) return undefined;
  if (status === 0 && ['CHECK', 'DEL', 'GC', 'STATUS'].includes(verb)) {
    return stdout === '' ? undefined : `an answer where there is none: ${clip(stdout)}`;
  }
  // Whoever calls it by hand gets to know what it is, on stderr.
  if (verb === '' && status === 0 && stdout === '') return undefined;
  const answer = parsed(stdout);
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    return `stdout is not one JSON object: ${clip(stdout)}`;
  }
  if (status === 0) {
    return 'cniVersion' in answer ? undefined : `an answer without cniVersion: ${clip(stdout)}`;
  }
  if (!('code' in answer) || typeof answer.code !== 'number') return `an error without code: ${clip(stdout)}`;
  if (!('msg' in answer) || typeof answer.msg !== 'string' || answer.msg === '') {
    return `an error without words: ${clip(stdout)}`;
  }
  return undefined;
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // reason: undefined is no JSON value
  }
}

export function clip(text: string, length = 200): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= length ? line : `${line.slice(0, length)}…`;
}
