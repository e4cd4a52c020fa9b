/** What every network configuration must have before a plugin's own part of it is read: an object, a name, a version. */
import type { Input } from '@cni-ts/invoke/input';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import { checkNetworkName } from '@cni-ts/spec/names';

export type Json = Readonly<Record<string, unknown>>;

/** One JSON object with a good network name; `null` is an object with nothing in it. */
export function readNetwork(input: Input): Json {
  const json = objectIn(input);
  const name = member(json, 'name') ?? '';
  if (typeof name !== 'string') throw undecodable(`name: expected a string, got ${JSON.stringify(name)}`);
  if (name === '') throw new CniError(ErrorCode.invalidConfig, 'missing network name');
  checkNetworkName(name);
  return json;
}

function objectIn(input: Input): Json {
  let json: unknown;
  try {
    json = input.json;
  } catch (cause) {
    throw undecodable(input.text.trim() === '' ? 'there is nothing on stdin' : errorText(cause));
  }
  if (json === null) return {};
  if (typeof json !== 'object' || Array.isArray(json)) {
    throw undecodable(`expected an object, got ${Array.isArray(json) ? 'a list' : `a ${typeof json}`}`);
  }
  return json as Json; // what JSON.parse makes of an object has string keys only
}

function undecodable(why: string): CniError {
  return new CniError(ErrorCode.decodingFailure, `error unmarshall network config: ${why}`);
}

/** As the reference's decoder finds a member: without regard to letter case, the last that is not null. */
export function member(json: Json, name: string): unknown {
  let found: unknown;
  const lower = name.toLowerCase();
  const keys = Object.keys(json);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    // The names asked for are ASCII, whose other spellings are as long.
    if (key.length === name.length && (key === name || key.toLowerCase() === lower))
      found = json[key] ?? found;
  }
  return found;
}

export function configVersion(json: Json): string {
  const version = member(json, 'cniVersion') ?? '';
  if (typeof version === 'string') return version === '' ? '0.1.0' : version;
  const why = `cniVersion: expected a string, got ${JSON.stringify(version)}`;
  throw new CniError(ErrorCode.decodingFailure, `decoding version from network config: ${why}`);
}
