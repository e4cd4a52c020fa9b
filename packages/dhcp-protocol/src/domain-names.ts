/** Lists of domain names as DNS writes them (RFC 1035, section 3.1): options 119, 24 of DHCPv6, DNSSL. */
import { joined } from './big-endian.ts';

/** More search domains than any resolver takes; a list may otherwise name the same long name thousands of times. */
const mostNames = 128;
/** RFC 1035, section 2.3.4. */
const longestName = 255;
const longestLabel = 63;

/**
 * The names, without the dot at their end. Undefined where a label leaves the bytes, a name is too long, or a label has
 * other than letters, digits, `-` and `_`: such a name ends up in a resolv.conf. `compressed` follows pointers
 * (section 4.1.4), which must lead backwards, so that none comes back to itself. Empty names are padding.
 */
export function readDomainNames(bytes: Uint8Array, compressed: boolean): string[] | undefined {
  const names: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    let name = '';
    let next = -1; // where the list goes on, once a pointer was followed
    let from = at; // where the labels read now began
    for (;;) {
      const length = bytes[at];
      if (length === undefined) return undefined;
      at++;
      if (length === 0) break;
      if (length >= 0xc0) {
        if (!compressed || at === bytes.length) return undefined;
        const target = ((length & 0x3f) << 8) | bytes[at]!;
        if (target >= from) return undefined;
        if (next < 0) next = at + 1;
        at = target;
        from = target;
        continue;
      }
      if (length > longestLabel || at + length > bytes.length) return undefined;
      if (name !== '') name += '.';
      for (const end = at + length; at < end; at++) {
        if (!isNameByte(bytes[at]!)) return undefined;
        name += String.fromCharCode(bytes[at]!);
      }
      if (name.length > longestName - 2) return undefined;
    }
    if (next >= 0) at = next;
    if (name === '') continue;
    if (names.length === mostNames) return undefined;
    names.push(name);
  }
  return names;
}

/** Uncompressed. Throws RangeError for what readDomainNames does not take. */
export function writeDomainNames(names: readonly string[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const name of names) {
    if (!isDomainName(name)) throw new RangeError(`${JSON.stringify(name)} is no domain name`);
    const bytes = new Uint8Array(name.length + 2);
    let length = 0;
    for (let i = 0; i <= name.length; i++) {
      if (i < name.length && name.charAt(i) !== '.') {
        bytes[i + 1] = name.charCodeAt(i);
        length++;
      } else {
        bytes[i - length] = length;
        length = 0;
      }
    }
    pieces.push(bytes);
  }
  return joined(pieces);
}

/** Labels of letters, digits, `-` and `_` with dots between, no dot at the end. */
export function isDomainName(name: string): boolean {
  if (name === '' || name.length > longestName - 2) return false;
  let length = 0;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code !== 0x2e) {
      if (!isNameByte(code)) return false;
      length++;
    } else if (length === 0) return false;
    else length = 0;
    if (length > longestLabel) return false;
  }
  return length > 0;
}

function isNameByte(byte: number): boolean {
  if (byte === 0x2d || byte === 0x5f) return true;
  if (byte >= 0x30 && byte <= 0x39) return true;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a && byte < 0x80;
}
