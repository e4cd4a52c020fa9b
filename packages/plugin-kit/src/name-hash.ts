/** The part of Bun's own hashing that we use. */
interface BunHashing {
  readonly CryptoHasher: new (algorithm: string) => { update(text: string): { digest(form: 'hex'): string } };
}

/**
 * A name of fixed length made of names of any length, as the reference plugins make theirs: the first characters of
 * prefix and lower-case hexadecimal SHA-512. Whoever knows the names finds the thing again.
 */
export function hashedName(length: number, prefix: string, text: string): string {
  return (prefix + sha512(text)).slice(0, length);
}

/** On Bun by its own hasher: loading its node:crypto takes 10 ms and more, which is longer than a whole plugin lives. */
function sha512(text: string): string {
  const bun = (globalThis as { Bun?: BunHashing }).Bun; // reason: a global that only one of our runtimes has
  if (bun) return new bun.CryptoHasher('sha512').update(text).digest('hex');
  return process.getBuiltinModule('node:crypto').hash('sha512', text, 'hex');
}
