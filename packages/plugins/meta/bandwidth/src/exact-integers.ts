/** A string or a number, each as a whole. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/** What a whole number's digits follow, in the string that stands for it meanwhile. Nobody else can know of it. */
const mark = `whole number ${Math.random().toString(36).slice(2)}: `;

/** Reads JSON, and whole numbers written in digits as bigint: a rate has 64 bits, and a number is exact to 53. All
 *  other numbers (`1.5`, `1e3`) stay numbers, and so can be told apart. The text is valid JSON. */
export function exactIntegers(text: string): unknown {
  const marked = text.replace(tokens, (token) => (/^-?\d+$/.test(token) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}
