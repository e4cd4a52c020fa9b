/** Hardware addresses: 6 bytes (Ethernet), 8 (EUI-64) or 20 (IP over InfiniBand). */
import { hexDigit } from './hex-digit.ts';

/**
 * Pairs of hex digits with `:` or `-` between them, or groups of four with `.`, as IEEE 802 and Cisco write them.
 * One separator throughout. Anything else is undefined.
 */
export function parseMac(text: string): Uint8Array | undefined {
  const digits = text.charAt(4) === '.' ? 4 : 2;
  const separator = text.charAt(digits);
  if (digits === 2 && separator !== ':' && separator !== '-') return undefined;
  const bytes: number[] = [];
  for (let at = 0; ; at++) {
    for (const end = at + digits; at < end; at += 2) {
      const [high, low] = [hexDigit(text, at), hexDigit(text, at + 1)];
      if (high < 0 || low < 0) return undefined;
      bytes.push(high * 16 + low);
    }
    if (at === text.length) break;
    if (text.charAt(at) !== separator) return undefined;
  }
  return bytes.length === 6 || bytes.length === 8 || bytes.length === 20 ? new Uint8Array(bytes) : undefined;
}

/** Lower-case pairs with colons, as the kernel and iproute2 print it. */
export function formatMac(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    text += `${i === 0 ? '' : ':'}${byte < 16 ? '0' : ''}${byte.toString(16)}`;
  }
  return text;
}
