// Without Buffer, which the engine sets up when it is first named (a fifth of a millisecond), and numbers byte by byte:
// a DataView made for each costs more than everything else about reading it.

/** Little-endian; what is past the end is zero. */
export function u16At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Little-endian; what is past the end is zero. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && standsAt(a, 0, b);
}

/** Whether `part` stands somewhere in `whole`. */
export function holdsBytes(whole: Uint8Array, part: Uint8Array): boolean {
  if (part.length === 0) return true;
  // By a byte that is not zero, of which messages are full.
  let anchor = 0;
  while (part[anchor] === 0 && anchor + 1 < part.length) anchor++;
  for (let at = whole.indexOf(part[anchor]!, anchor); at >= 0; at = whole.indexOf(part[anchor]!, at + 1)) {
    if (at - anchor + part.length > whole.length) return false;
    if (standsAt(whole, at - anchor, part)) return true;
  }
  return false;
}

/** Whether `part` stands there in `whole`. */
export function standsAt(whole: Uint8Array, at: number, part: Uint8Array): boolean {
  const { length } = part; // a call in the executables' engine
  for (let i = 0; i < length; i++) if (whole[at + i] !== part[i]) return false;
  return true;
}
