/** What the third argument of a reviver tells, where it is a primitive: the text it was read from (ECMA-262, 2026).
 *  TypeScript's declaration has no such argument yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** Reads JSON, and whole numbers written in digits as bigint: a rate has 64 bits, and a number is exact to 53. All
 *  other numbers (`1.5`, `1e3`) stay numbers, and so can be told apart. The text is valid JSON. */
export function exactIntegers(text: string): unknown {
  const revive: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown); // reason: see Reviver
}
