/** Letters that steer a terminal, or turn the direction of what follows, instead of being seen. A line's end is none. */
export function isControl(code: number): boolean {
  if (code < 0x20) return code !== 0x0a && code !== 0x09;
  if (code >= 0x7f && code < 0xa0) return true;
  return (
    code === 0x200e ||
    code === 0x200f ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  );
}

export function withoutControls(text: string): string {
  let safe = '';
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    safe += isControl(code) || code === 0x0a || code === 0x09 ? '\ufffd' : letter;
  }
  return safe;
}
