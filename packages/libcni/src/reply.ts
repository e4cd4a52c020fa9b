/** What a plugin said when it ended, to a runtime. */
import { type Outcome, pluginError } from '@cni-ts/invoke/run-plugin';
import { isJsonObject, parseJson } from './json.ts';
import { wrapped } from './wrapped-error.ts';

/**
 * The stdout of a run that succeeded, its stderr handed to `sink`; throws the CniError of one that failed, whose
 * stderr is quoted in the error or dropped.
 */
export function settle(outcome: Outcome, sink: (text: string) => void): string {
  if (outcome.why !== '') throw pluginError(outcome);
  if (outcome.stderr !== '') sink(outcome.stderr);
  return outcome.stdout;
}

/** The versions in the answer to VERSION; plugins of 0.2.0 could leave the list out. */
export function supportedVersions(stdout: string): readonly string[] {
  const doing = 'decoding version info';
  let json: unknown;
  try {
    json = parseJson(stdout) ?? {};
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
