/** JSON as the protocol sees it: objects whose unknown keys survive, written with sorted keys. */
import { textOf } from '@cni-ts/libc/file';
import { parseJson as parseStrictJson } from '@cni-ts/spec/json';
import { mark, parseWithWholeNumbers } from '@cni-ts/spec/whole-numbers';

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** ECMA-262, 2026: numbers as they are written. The engine of the compiled program has none of it yet. */
interface RawJson {
  rawJSON?(text: string): object;
  isRawJSON?(value: unknown): boolean;
}
// reason: TypeScript's declarations lack them
const engine = JSON as unknown as RawJson;

/** A whole number too great for a double, where the engine has no raw JSON. */
class WholeNumber {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

function wholeNumber(digits: string): object {
  return engine.rawJSON ? engine.rawJSON(digits) : new WholeNumber(digits);
}

function isWholeNumber(value: unknown): boolean {
  return engine.isRawJSON ? engine.isRawJSON(value) : value instanceof WholeNumber;
}

/** The digits of a whole number too great for a double, as parseJson reads it; undefined for anything else. */
export function wholeNumberText(value: unknown): string | undefined {
  if (!isWholeNumber(value)) return undefined;
  return value instanceof WholeNumber ? value.digits : JSON.stringify(value);
}

/** The skeleton's parseJson for what is passed on: a whole number too great for a double stays what is written there, for
 *  a plugin may read 64 bits of it. `what` names the text in an error. */
export function parseJson(text: string, what = ''): unknown {
  const json = parseStrictJson(text, what);
  if (!/\d{16}/.test(text)) return json;
  return parseWithWholeNumbers(text, (digits) =>
    digits.length < 16 || Number.isSafeInteger(Number(digits)) ? undefined : wholeNumber(digits),
  );
}

/** The same for the bytes of a file; what is not UTF-8 becomes U+FFFD. */
export function parseJsonBytes(bytes: Uint8Array, what = ''): unknown {
  return parseJson(textOf(bytes), what);
}

/** JSON.stringify for an object that may have such numbers in it. */
export function encodeJson(value: object): string {
  return encode(value, false);
}

/** Compact, with the keys of every object in order, so that equal requests are equal bytes. */
export function encodeSorted(value: unknown): string {
  return encode(value, true);
}

/**
 * What JSON.parse makes of encodeSorted's text, without the text. Nothing is shared with `value`. Throws as JSON.stringify
 * does, for what has no text.
 */
export function readSorted(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value + 0 : null; // −0 is written as 0
    case 'object':
      return value === null ? null : readObject(value);
    default:
      return readByText(value);
  }
}

function readObject(value: object): unknown {
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (let i = 0; i < value.length; i++) list.push(readSorted(value[i]) ?? null);
    return list;
  }
  if (isWholeNumber(value) || 'toJSON' in value) return readByText(value);
  const made: JsonObject & Record<string, unknown> = {};
  const keys = Object.keys(value).sort();
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const member = readSorted((value as JsonObject)[key]); // reason: an object's own keys
    if (member === undefined) continue;
    // By assignment it would become the prototype.
    if (key === '__proto__') Object.defineProperty(made, key, { ...plain, value: member });
    else made[key] = member;
  }
  return made;
}

const plain = { enumerable: true, configurable: true, writable: true };

/** undefined for what is left out. */
function readByText(value: unknown): unknown {
  const text = value instanceof WholeNumber ? value.digits : JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

/** Rebuilt rather than by a replacer, which is called for every member there is. */
function encode(value: unknown, sorted: boolean): string {
  let marked = '';
  const rebuilt = (member: unknown): unknown => {
    if (typeof member !== 'object' || member === null) return member;
    if (member instanceof WholeNumber) {
      marked ||= mark();
      return marked + member.digits;
    }
    if (Array.isArray(member)) return member.map(rebuilt);
    if (isWholeNumber(member) || 'toJSON' in member) return member;
    const keys = Object.keys(member);
    if (sorted) keys.sort();
    // Without a prototype, so that a member of any name is just a member.
    const copy: Record<string, unknown> = Object.create(null);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      copy[key] = rebuilt((member as JsonObject)[key]); // reason: an object's own keys
    }
    return copy;
  };
  const text = JSON.stringify(rebuilt(value));
  return marked ? text.replace(new RegExp(`"${marked}(-?\\d+)"`, 'g'), '$1') : text;
}

/** The names the reference library gives JSON types in its messages; callers may match on them. */
export function jsonTypeName(value: unknown): string {
  if (value === null) return '<nil>';
  if (isWholeNumber(value)) return 'float64';
  if (Array.isArray(value)) return '[]interface {}';
  switch (typeof value) {
    case 'number':
      return 'float64';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    default:
      return 'map[string]interface {}';
  }
}
