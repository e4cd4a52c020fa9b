/** A tar archive (POSIX ustar) of small texts. */

export interface Member {
  readonly name: string;
  readonly text: string;
}

const block = 512;

/** `time`: seconds since 1970, of every member. Names of more than 100 bytes are not to come. */
export function tarOf(members: readonly Member[], time: number): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const { name, text } of members) {
    const bytes = encoder.encode(text);
    parts.push(headerOf(encoder.encode(name), bytes.length, time), bytes);
    const rest = bytes.length % block;
    if (rest > 0) parts.push(new Uint8Array(block - rest));
  }
  parts.push(new Uint8Array(2 * block));
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function headerOf(name: Uint8Array, size: number, time: number): Uint8Array {
  if (name.length > 100) throw new Error('a name in an archive has at most 100 bytes');
  const header = new Uint8Array(block);
  const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.set(name, 0);
  put(100, `${octal(0o600, 7)}\0`);
  put(108, `${octal(0, 7)}\0`);
  put(116, `${octal(0, 7)}\0`);
  put(124, `${octal(size, 11)}\0`);
  put(136, `${octal(time, 11)}\0`);
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\x0000');
  put(265, 'root');
  put(297, 'root');
  // The sum of all bytes, its own taken for blanks.
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return header;
}
