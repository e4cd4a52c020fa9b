/** What a plugin said when it ended, and what that means to the runtime. All texts of failed runs are made here. */
import { CniError, ErrorCode } from '@cni-ts/skeleton/cni-error';
import { decodeResult, type VersionedResult } from '@cni-ts/skeleton/result-version';
import { isJsonObject } from './json.ts';
import { textOf, wrapped } from './wrapped-error.ts';

/** How one run ended, as facts. */
export interface Ending {
  /** '' for success, else `exit status 1`, `signal: killed`, or why it could not be started. */
  readonly why: string;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The stdout of a run that succeeded, its stderr handed to `sink`; throws the CniError of one that failed, whose
 * stderr is quoted in the error or dropped.
 */
export function settle(ending: Ending, sink: (text: string) => void): string {
  if (ending.why !== '') throw failureOf(ending);
  if (ending.stderr !== '') sink(ending.stderr);
  return ending.stdout;
}

/** Code 0 marks a plugin that ended badly without saying so in the protocol's way. */
function failureOf({ why, stdout, stderr }: Ending): CniError {
  if (stdout === '') {
    const told = stderr === '' ? ' with no error message' : `: ${JSON.stringify(stderr)}`;
    return new CniError(ErrorCode.unknown, `netplugin failed${told}: ${why}`);
  }
  try {
    return errorFrom(JSON.parse(stdout) ?? {});
  } catch (error) {
    const doing = `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}`;
    return new CniError(ErrorCode.unknown, `${doing}: ${textOf(error)}`, '', { cause: error });
  }
}

function errorFrom(json: unknown): CniError {
  if (!isJsonObject(json)) throw new Error('expected a JSON object');
  const code = json.code ?? 0;
  const msg = json.msg ?? '';
  const details = json.details ?? '';
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 0) {
    throw new Error(`code: expected an unsigned integer, got ${JSON.stringify(code)}`);
  }
  if (typeof msg !== 'string') throw new Error(`msg: expected a string, got ${JSON.stringify(msg)}`);
  if (typeof details !== 'string') {
    throw new Error(`details: expected a string, got ${JSON.stringify(details)}`);
  }
  return new CniError(code, msg, details);
}

/**
 * The result an ADD printed. One without a version has that of the configuration it was sent (`sentVersion`);
 * the library of its version then decides whether it is one.
 */
export function addResult(stdout: string, sentVersion: string): VersionedResult {
  let json: unknown;
  try {
    json = JSON.parse(stdout) ?? {};
    if (!isJsonObject(json)) throw new Error('expected a JSON object');
  } catch (error) {
    throw wrapped('failed to unmarshal raw result', error);
  }
  const told = json.cniVersion;
  const version = typeof told === 'string' && told !== '' ? told : sentVersion || '0.1.0';
  return decodeResult(version, { ...json, cniVersion: version });
}

/** The versions in the answer to VERSION; plugins of 0.2.0 could leave the list out. */
export function supportedVersions(stdout: string): readonly string[] {
  const doing = 'decoding version info';
  let json: unknown;
  try {
    json = JSON.parse(stdout) ?? {};
    if (!isJsonObject(json)) throw new Error('expected a JSON object');
  } catch (error) {
    throw wrapped(doing, error);
  }
  const cniVersion = json.cniVersion ?? '';
  const versions = json.supportedVersions ?? null;
  if (typeof cniVersion !== 'string') throw new Error(`${doing}: cniVersion: expected a string`);
  if (cniVersion === '') throw new Error(`${doing}: missing field cniVersion`);
  if (versions !== null && !isStrings(versions)) {
    throw new Error(`${doing}: supportedVersions: expected a list of strings`);
  }
  if (versions !== null && versions.length > 0) return versions;
  if (cniVersion === '0.2.0') return ['0.1.0', '0.2.0'];
  throw new Error(`${doing}: missing field supportedVersions`);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
