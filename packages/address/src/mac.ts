/** Hardware addresses: 6 bytes (Ethernet), 8 (EUI-64) or 20 (IP over InfiniBand). */

/**
 * Pairs of hex digits with `:` or `-` between them, or groups of four with `.`, as IEEE 802 and Cisco write them.
 * One separator throughout. Anything else is undefined.
 */
export function parseMac(text: string): Uint8Array | undefined {
  const separator = /[:.-]/.exec(text)?.[0];
  if (separator === undefined) return undefined;
  const groups = text.split(separator);
  const shape = separator === '.' ? /^[0-9a-fA-F]{4}$/ : /^[0-9a-fA-F]{2}$/;
  if (!groups.every((group) => shape.test(group))) return undefined;
  const bytes = Uint8Array.from(Buffer.from(groups.join(''), 'hex'));
  return bytes.length === 6 || bytes.length === 8 || bytes.length === 20 ? bytes : undefined;
}

const hexDigits = '0123456789abcdef';

/** Lower-case pairs with colons, as the kernel and iproute2 print it. */
export function formatMac(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `${text && ':'}${hexDigits[byte >> 4]}${hexDigits[byte & 15]}`;
  return text;
}
