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
  return a.length === b.length && startsAt(a, 0, b);
}

/** Whether `part` stands somewhere in `whole`. */
export function holdsBytes(whole: Uint8Array, part: Uint8Array): boolean {
  if (part.length === 0) return true;
  const last = whole.length - part.length;
  for (let at = whole.indexOf(part[0]!); at >= 0 && at <= last; at = whole.indexOf(part[0]!, at + 1)) {
    if (startsAt(whole, at, part)) return true;
  }
  return false;
}

function startsAt(whole: Uint8Array, at: number, part: Uint8Array): boolean {
  for (let i = 0; i < part.length; i++) if (whole[at + i] !== part[i]) return false;
  return true;
}
