import type { Argument } from './attachment.ts';
import { isJsonObject, type JsonObject, parseJson } from './json.ts';
import { wrapped } from './wrapped-error.ts';

/** What the reference library writes into each file. */
export const kind = 'cniCacheV1';

/** An entry by its members. Absent and null are the same. */
export interface Entry {
  readonly kind?: string | undefined;
  readonly containerId?: string | undefined;
  readonly config?: string | undefined;
  readonly ifName?: string | undefined;
  readonly networkName?: string | undefined;
  readonly netns?: string | undefined;
  readonly cniArgs?: readonly Argument[] | undefined;
  readonly capabilityArgs?: JsonObject | undefined;
  readonly result?: JsonObject | undefined;
}

/** Throws when a member is of another type: then the file is no entry of ours. By hand, for every CHECK and DEL reads
 *  one. */
function entryOf(json: unknown): Entry {
  if (!isJsonObject(json)) throw new Error('expected a JSON object');
  const text = (key: string) => member(json, key, 'a string', (value) => typeof value === 'string');
  const object = (key: string) => member(json, key, 'an object', isJsonObject);
  // reason: each was looked at by what it was read with
  return {
    kind: text('kind'),
    containerId: text('containerId'),
    config: text('config'),
    ifName: text('ifName'),
    networkName: text('networkName'),
    netns: text('netns'),
    cniArgs: member(json, 'cniArgs', 'a list of pairs', arePairs),
    capabilityArgs: object('capabilityArgs'),
    result: object('result'),
  } as Entry;
}

function member(json: JsonObject, key: string, expected: string, fits: (value: unknown) => boolean): unknown {
  const value = json[key] ?? undefined;
  if (value !== undefined && !fits(value)) throw new Error(`${key}: expected ${expected}`);
  return value;
}

function arePairs(value: unknown): boolean {
  return (
    Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && isText(pair))
  );
}

function isText([key, value]: unknown[]): boolean {
  return typeof key === 'string' && typeof value === 'string';
}

/** Whether a member that should be base64 is. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** undefined: not an entry of this kind, so perhaps the bare result that older runtimes kept. */
export function parseEntry(text: string): Entry | undefined {
  try {
    const entry = entryOf(parseJson(text));
    return entry.kind === kind ? entry : undefined;
  } catch {
    return undefined; // whoever reads it as a bare result says what is wrong with it
  }
}

/** The bare result that older runtimes kept. Throws for what is no object. */
export function parseLegacy(text: string): unknown {
  try {
    const json = parseJson(text);
    if (!isJsonObject(json)) throw new Error('expected a JSON object');
    return json;
  } catch (error) {
    throw wrapped('decoding version from network config', error);
  }
}

/** An entry that must be one. Throws in the reference's words. */
export function parseConfigEntry(text: string, network: string): Entry {
  const cached = `cached network ${JSON.stringify(network)} config`;
  let entry: Entry;
  try {
    entry = entryOf(parseJson(text));
    if (!isBase64(entry.config ?? '')) throw new Error('config: expected base64');
  } catch (error) {
    throw wrapped(`failed to unmarshal ${cached}`, error);
  }
  if (entry.kind !== kind) throw new Error(`read ${cached} has wrong kind: ${entry.kind ?? ''}`);
  return entry;
}
