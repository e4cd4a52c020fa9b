/** Finds a key that stands twice in an object that is a member of a JSON object, whose name is compared without regard to
 *  case. JSON.parse keeps the last and says nothing, and which one was meant only the author knows, so this reads the text.
 *  It is valid JSON. */
export function repeatedKey(text: string, object: string): string | undefined {
  // As runtimes write it: what is the same after reading it has lost no key. Quicker than the look that follows.
  if (JSON.stringify(JSON.parse(text)) === text) return undefined;
  const seen = new Set<string>();
  let depth = 0;
  let inside = false;
  let key: string | undefined;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs)) {
    if (token === '{' || token === '[') {
      depth++;
      if (depth === 2) inside = token === '{' && key?.toLowerCase() === object;
      key = undefined;
    } else if (token === '}' || token === ']') {
      depth--;
      if (depth === 1) inside = false;
    } else if (token === ',') key = undefined;
    else if (token !== ':' && key === undefined) {
      if (depth === 1) key = JSON.parse(token);
      if (depth === 2 && inside) {
        key = JSON.parse(token) as string; // the token is a JSON string
        if (seen.has(key)) return key;
        seen.add(key);
      }
    }
  }
  return undefined;
}
