/**
 * How much room a text takes, said so that it never takes more: the fonts of a browser are not known here. Widths are in
 * units of the font's size, of the widest of the usual fonts (DejaVu), and a little on top.
 */

/** Letters of even width, for what is copied and compared: addresses, names of links. */
const monospace = 0.615;

const narrow = new Set("iIjl.,:;|!'`()[]/\\ftr- ");
/** Wider than high in a bold font. */
const widest = new Set('mMW@%');
const wide = new Set('wOQGDCNHUABEKRSVXYTPZ&+=<>#~→');

export function textWidth(text: string, size: number, mono: boolean): number {
  let ems = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    // Beyond Latin another font steps in; what it draws is at most as wide as high, as far as one knows.
    if (code > 0x24f && !wide.has(letter) && !'↑↓⇄·…–⚠●○'.includes(letter)) ems += 1.35;
    else if (mono) ems += code > 0x24f ? 1 : monospace;
    else if (narrow.has(letter)) ems += 0.46;
    else if (widest.has(letter)) ems += 1.12;
    else ems += wide.has(letter) || code > 0x7e ? 1 : 0.73;
  }
  return Math.ceil(ems * size);
}

/** The text, or as much of its beginning and end as there is room for: names are told apart by either. */
export function fitted(text: string, room: number, size: number, mono: boolean): string {
  if (textWidth(text, size, mono) <= room) return text;
  const letters = [...text];
  for (let kept = Math.min(letters.length - 1, Math.ceil(room / (size * 0.4))); kept > 1; kept--) {
    const tail = Math.floor(kept / 3);
    const short = `${letters.slice(0, kept - tail).join('')}…${tail > 0 ? letters.slice(-tail).join('') : ''}`;
    if (textWidth(short, size, mono) <= room) return short;
  }
  return '…';
}
