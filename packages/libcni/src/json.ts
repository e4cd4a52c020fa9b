/** JSON as the protocol sees it: objects whose unknown keys survive, written with sorted keys. */

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** ECMA-262, 2026: numbers as they are written. TypeScript's declarations lack them yet. */
const { isRawJSON, rawJSON } = JSON as unknown as {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
};
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** JSON.parse for what is passed on: a whole number too great for a double stays what is written there, for a plugin
 *  may read 64 bits of it. */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const revive: Reviver = (_key, value, { source }) =>
    typeof value === 'number' &&
    source !== undefined &&
    !Number.isSafeInteger(value) &&
    /^-?\d+$/.test(source)
      ? rawJSON(source)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown); // reason: see above
}

/** Compact, with the keys of every object in order, so that equal requests are equal bytes. */
export function encodeSorted(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    isJsonObject(member) && !isRawJSON(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

/** The names the reference library gives JSON types in its messages; callers may match on them. */
export function jsonTypeName(value: unknown): string {
  if (value === null) return '<nil>';
  if (isRawJSON(value)) return 'float64';
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
