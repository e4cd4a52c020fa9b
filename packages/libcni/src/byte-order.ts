/**
 * For sorting names in the order of their UTF-8 bytes, which is that of their code points. JavaScript's own `<` compares
 * UTF-16 units, and has U+10000 and all above it before U+E000.
 */
export function byBytes(a: string, b: string): number {
  for (let at = 0; ; at++) {
    const [one, other] = [a.codePointAt(at), b.codePointAt(at)];
    if (one !== other) return (one ?? -1) - (other ?? -1);
    if (one === undefined) return 0;
  }
}
