/** JSON as the protocol sees it: objects whose unknown keys survive, written with sorted keys. */
import { textOf } from '@cni-ts/libc/file';

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
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toJSON(): string {
    return mark + this.#text;
  }
}

/** What such a number's text follows, in a string that stands for it. Nobody else can know of it. */
const mark = `cni-ts whole number ${Math.random().toString(36).slice(2)}: `;

function wholeNumber(text: string): object {
  return engine.rawJSON ? engine.rawJSON(text) : new WholeNumber(text);
}

function isWholeNumber(value: unknown): boolean {
  return engine.isRawJSON ? engine.isRawJSON(value) : value instanceof WholeNumber;
}

/** JSON.parse for what is passed on: a whole number too great for a double stays what is written there, for a plugin
 *  may read 64 bits of it. */
export function parseJson(text: string): unknown {
  const json: unknown = JSON.parse(text);
  if (!/\d{16}/.test(text)) return json;
  // A string or a number, each as a whole: the text is JSON, as has just been seen.
  const marked = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${mark}${token}"` : token,
  );
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? wholeNumber(value.slice(mark.length)) : value,
  );
}

/** The same for the bytes of a file; what is not UTF-8 becomes U+FFFD. */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJson(textOf(bytes));
}

/** JSON.stringify for an object that may have such numbers in it. */
export function encodeJson(value: object): string {
  return unmarked(JSON.stringify(value));
}

/** Compact, with the keys of every object in order, so that equal requests are equal bytes. */
export function encodeSorted(value: unknown): string {
  return unmarked(
    JSON.stringify(value, (_key, member: unknown) =>
      isJsonObject(member) && !isWholeNumber(member)
        ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
        : member,
    ),
  );
}

const markedNumber = new RegExp(`"${mark}(-?\\d+)"`, 'g');

function unmarked(text: string): string {
  return engine.rawJSON ? text : text.replace(markedNumber, '$1');
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
