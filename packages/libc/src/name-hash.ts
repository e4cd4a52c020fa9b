/**
 * A name of fixed length made of names of any length, as the reference plugins make theirs: the first characters of
 * prefix and lower-case hexadecimal SHA-512. Whoever knows the names finds the thing again.
 */
export function hashedName(length: number, prefix: string, text: string): string {
  return (prefix + sha512(text)).slice(0, length);
}

/** The part of the compiled program's engine (packages/engine) that we use. */
interface Hashing {
  sha512(text: string): string;
}

function sha512(text: string): string {
  const { engine } = globalThis as { engine?: Hashing }; // reason: a global that only the compiled program has
  if (engine) return engine.sha512(text);
  return process.getBuiltinModule('node:crypto').hash('sha512', text, 'hex');
}
