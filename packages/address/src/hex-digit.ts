/** The value of the hexadecimal digit at a place of a text; -1 for anything else, and past the end. */
export function hexDigit(text: string, at: number): number {
  const code = text.charCodeAt(at); // NaN past the end: every comparison below is false
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
