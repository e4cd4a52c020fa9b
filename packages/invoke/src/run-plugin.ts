/** Another plugin as a child process, and what its outcome means (for a delegate and, in libcni, for a runtime). */
import { errnoText } from '@cni-ts/libc/errno';
import { runToEnd } from '@cni-ts/libc/program';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { parseJson } from '@cni-ts/spec/json';
import { decodeResult, type VersionedResult } from '@cni-ts/spec/result-version';
import type { Variables } from './environment.ts';
import { readErrorObject } from './error-object.ts';
import { signalText } from './signal-text.ts';

/** How a plugin ended: `why` is '' for exit status 0, else `exit status 1`, `signal: killed` or why it did not start. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly why: string;
}

/** While somebody has an executable open for writing (an upgrade in progress) the kernel answers ETXTBSY. */
const busyAttempts = 6;
const busyPauseMs = 1000;

/** Runs a plugin to its end, without arguments, in the same working directory. Never throws for what the plugin does. */
export async function runPlugin(
  path: string,
  env: Variables,
  stdin: string,
  pauseMs = busyPauseMs,
): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    const outcome = runOnce(path, env, stdin);
    if (outcome !== 'busy') return outcome;
    if (attempt === busyAttempts) return startFailure(path, 'ETXTBSY');
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function runOnce(path: string, env: Variables, stdin: string): Outcome | 'busy' {
  try {
    const { status, signal, stdout, stderr } = runToEnd(path, [], env, stdin);
    return { stdout, stderr, why: whyOf(status, signal) };
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ETXTBSY') return 'busy';
    return startFailure(path, code ?? errorText(error));
  }
}

/** How a program that did not start has ended. `why`: the errno's name, told in the words of the reference, which operators
 *  know to search for; or a text. */
export function startFailure(program: string, why: string): Outcome {
  return { stdout: '', stderr: '', why: `fork/exec ${program}: ${errnoText(why)}` };
}

function whyOf(status: number | undefined, signal: string | undefined): string {
  if (signal !== undefined) return `signal: ${signalText(signal)}`;
  return status === 0 ? '' : `exit status ${status}`;
}

/** The error a plugin that did not end with status 0 stands for: the one it printed, or one that says what it left. */
export function pluginError({ stdout, stderr, why }: Outcome): CniError {
  if (stdout === '') {
    const told = stderr === '' ? ' with no error message' : `: ${JSON.stringify(stderr)}`;
    return new CniError(ErrorCode.unknown, `netplugin failed${told}: ${why}`);
  }
  try {
    return readErrorObject(parseJson(stdout, ''));
  } catch (cause) {
    return new CniError(
      ErrorCode.unknown,
      `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}: ${errorText(cause)}`,
      '',
      { cause },
    );
  }
}

/** The result a plugin printed for ADD. One that names no version is in that of the configuration it was sent. */
export function printedResult(stdout: string, configVersion: string): VersionedResult {
  let json: unknown;
  try {
    json = parseJson(stdout, '');
    if (typeof json !== 'object' || Array.isArray(json)) throw new Error('it is not an object');
  } catch (cause) {
    throw new CniError(
      ErrorCode.decodingFailure,
      `failed to unmarshal raw result: ${stdout === '' ? 'the plugin printed nothing' : errorText(cause)}`,
      '',
      { cause },
    );
  }
  const named = json !== null && 'cniVersion' in json ? json.cniVersion : undefined;
  const version =
    typeof named === 'string' && named !== '' ? named : configVersion === '' ? '0.1.0' : configVersion;
  return decodeResult(version, { ...json, cniVersion: version });
}
