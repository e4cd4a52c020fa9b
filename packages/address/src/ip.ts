/** IP addresses as values: parse, print, compare, step. */
import { hexDigit } from './hex-digit.ts';

/**
 * An IPv4 address has 4 bytes, an IPv6 address 16, in network order. Text naming an IPv4-mapped IPv6 address
 * (`::ffff:1.2.3.4`) is read as the IPv4 address it stands for, as the reference plugins do.
 */
export interface Ip {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** Strict: four decimal octets without leading zeros, or RFC 4291 text without a zone. Anything else is undefined. */
export function parseIp(text: string): Ip | undefined {
  if (!text.includes(':')) {
    const bytes = new Uint8Array(4);
    return readQuad(text, 0, bytes, 0) ? { family: 4, bytes } : undefined;
  }
  const bytes = readGroups(text);
  if (bytes === undefined) return undefined;
  return isMapped(bytes) ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes };
}

/** Dotted quad, or the one spelling RFC 5952 recommends. */
export function formatIp(ip: Ip): string {
  return ip.family === 4 ? quad(ip.bytes, 0) : groups(ip.bytes);
}

export function equalIp(a: Ip, b: Ip): boolean {
  return compareIp(a, b) === 0;
}

/** Negative, zero or positive, as Array.sort wants it: IPv4 before IPv6, then by number. */
export function compareIp(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i++) {
    const difference = a.bytes[i]! - b.bytes[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** As a number, the first byte highest. */
export function numberOf({ bytes }: Ip): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

/** The address one above; the highest of a family is followed by its lowest. */
export function nextIp(ip: Ip): Ip {
  const bytes = new Uint8Array(ip.bytes); // not slice(): a Buffer's shares its memory
  for (let i = bytes.length - 1; i >= 0; i--) {
    const sum = bytes[i]! + 1;
    bytes[i] = sum; // a Uint8Array keeps the low eight bits
    if (sum < 256) break;
  }
  return { family: ip.family, bytes };
}

/** The address one below; the lowest of a family is preceded by its highest. */
export function previousIp(ip: Ip): Ip {
  const bytes = new Uint8Array(ip.bytes); // not slice(): a Buffer's shares its memory
  for (let i = bytes.length - 1; i >= 0; i--) {
    const difference = bytes[i]! - 1;
    bytes[i] = difference; // a Uint8Array keeps the low eight bits
    if (difference >= 0) break;
  }
  return { family: ip.family, bytes };
}

/**
 * Neither unspecified, loopback, multicast, link-local unicast nor 255.255.255.255. Private ranges count as global,
 * as in the reference plugins.
 */
export function isGlobalUnicast(ip: Ip): boolean {
  const [first, second] = [ip.bytes[0]!, ip.bytes[1]!];
  if (isLoopback(ip) || isUnspecified(ip)) return false;
  if (ip.family === 6) return first !== 0xff && !isLinkLocal6(ip);
  if (ip.bytes.every((byte) => byte === 255)) return false;
  return (first & 0xf0) !== 0xe0 && !(first === 169 && second === 254);
}

/** 0.0.0.0 or ::, which stand for no address. */
export function isUnspecified({ bytes }: Ip): boolean {
  return bytes.every((byte) => byte === 0);
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(ip: Ip): boolean {
  if (ip.family === 4) return ip.bytes[0] === 127;
  return ip.bytes[15] === 1 && ip.bytes.subarray(0, 15).every((byte) => byte === 0);
}

/** Reads `a.b.c.d` from `start` to the end of the text. */
function readQuad(text: string, start: number, into: Uint8Array, offset: number): boolean {
  let octet = 0;
  let value = 0;
  let digits = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || octet === 3) return false;
      into[offset + octet] = value;
      octet++;
      value = 0;
      digits = 0;
    } else if (code >= 0x30 && code <= 0x39) {
      // A leading zero means octal to some programs and decimal to others: refused, not guessed.
      if (digits > 0 && value === 0) return false;
      value = value * 10 + code - 0x30;
      digits++;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  if (digits === 0 || octet !== 3) return false;
  into[offset + 3] = value;
  return true;
}

/** IPv6 text: groups, at most one `::` standing for one or more zero groups, a dotted quad for the last two. */
function readGroups(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let filled = 0;
  let gap = -1;
  let at = 0;
  if (text.startsWith('::')) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    if (filled === 16) return undefined;
    let end = at;
    let value = 0;
    for (let digit = hexDigit(text, end); digit >= 0; digit = hexDigit(text, end)) {
      value = value * 16 + digit;
      end++;
      if (end - at > 4) return undefined;
    }
    if (end === at) return undefined;
    if (text.charCodeAt(end) === 0x2e) {
      if (filled > 12 || !readQuad(text, at, bytes, filled)) return undefined;
      filled += 4;
      break;
    }
    bytes[filled] = value >> 8;
    bytes[filled + 1] = value & 0xff;
    filled += 2;
    if (end === text.length) break;
    if (text.charCodeAt(end) !== 0x3a) return undefined;
    at = end + 1;
    if (at === text.length) return undefined;
    if (text.charCodeAt(at) === 0x3a) {
      if (gap >= 0) return undefined;
      gap = filled;
      at++;
    }
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  if (filled === 16) return undefined;
  const tail = bytes.slice(gap, filled);
  bytes.fill(0, gap);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function quad(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

function groups(bytes: Uint8Array): string {
  if (isMapped(bytes)) return `::ffff:${quad(bytes, 12)}`; // RFC 5952, section 5; only the kernel hands us these
  const values: number[] = [];
  for (let i = 0; i < 16; i += 2) values.push((bytes[i]! << 8) | bytes[i + 1]!);
  const run = longestZeroRun(values);
  if (run.length < 2) return hex(values);
  return `${hex(values.slice(0, run.start))}::${hex(values.slice(run.start + run.length))}`;
}

/** RFC 5952, section 4.2.3: the longest run of zero groups, the first of several equally long ones. */
function longestZeroRun(values: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < values.length; start++) {
    let end = start;
    while (values[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}

function hex(values: readonly number[]): string {
  return values.map((value) => value.toString(16)).join(':');
}

/** ::ffff:0:0/96 */
function isMapped(bytes: Uint8Array): boolean {
  if (bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** fe80::/10. */
export function isLinkLocal6({ family, bytes }: Ip): boolean {
  return family === 6 && bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80;
}
