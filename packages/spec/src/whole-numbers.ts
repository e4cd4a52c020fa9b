/** A string or a number of a JSON text, each as a whole. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/** Something that no text has by chance, or by anybody's intention. */
export function mark(): string {
  return `whole number ${Math.random().toString(36).slice(2)}: `;
}

/**
 * JSON.parse for numbers that a double cannot hold: each that is written in digits alone becomes what `make` makes of
 * them, or what it would be anyhow where that is undefined. The text is valid JSON.
 */
export function parseWithWholeNumbers(text: string, make: (digits: string) => unknown): unknown {
  const marked = mark();
  // In strings meanwhile, since a reviver does not see a number's text.
  const stringified = text.replace(tokens, (token) =>
    /^-?\d+$/.test(token) && make(token) !== undefined ? `"${marked}${token}"` : token,
  );
  return JSON.parse(stringified, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(marked) ? make(value.slice(marked.length)) : value,
  );
}

/** Reads JSON, and whole numbers written in digits as bigint: a rate has 64 bits, and a number is exact to 53. All
 *  other numbers (`1.5`, `1e3`) stay numbers, and so can be told apart. The text is valid JSON. */
export function exactIntegers(text: string): unknown {
  return unusualNumber.test(text) ? parseWithWholeNumbers(text, exact) : asBigInts(JSON.parse(text));
}

/** More digits than any number of 64 bits has: it stays a number, too great for every field. Making a bigint of them
 *  takes as long as the square of how many there are. */
const mostDigits = 40;

function exact(digits: string): bigint | undefined {
  return digits.length <= mostDigits ? BigInt(digits) : undefined;
}

/** A number that is not exact when it is read as one, or not written in digits; perhaps also a part of a string. */
const unusualNumber = /[:[,]\s*-?(?:\d{16}|\d+[.eE])/;

function asBigInts(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(asBigInts);
  const json: Record<string, unknown> = value as Record<string, unknown>; // reason: an object, and no list
  for (const key of Object.keys(json)) {
    const member = json[key];
    // A key of any name stays an own one.
    if (typeof member !== 'string' && typeof member !== 'boolean') json[key] = asBigInts(member);
  }
  return json;
}
