/**
 * A name of fixed length made of names of any length, as the reference plugins make theirs: the first characters of
 * prefix and lower-case hexadecimal SHA-512. Whoever knows the names finds the thing again.
 */
export function hashedName(length: number, prefix: string, text: string): string {
  // Loaded when needed: many attachments have no rules at all.
  const { hash } = process.getBuiltinModule('node:crypto');
  return (prefix + hash('sha512', text, 'hex')).slice(0, length);
}
