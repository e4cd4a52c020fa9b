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
