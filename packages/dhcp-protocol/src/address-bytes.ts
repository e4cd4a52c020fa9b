/** Addresses between text and the bytes of a packet. */
import { formatIp, parseIp } from '@cni-ts/address/ip';

export const noAddress4 = '0.0.0.0';

export function ip4At(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

export function ip6At(bytes: Uint8Array, at: number): string {
  return formatIp({ family: 6, bytes: bytes.subarray(at, at + 16) });
}

/** Throws RangeError for what is no IPv4 address. */
export function ip4Bytes(text: string): Uint8Array {
  const ip = text.includes(':') ? undefined : parseIp(text);
  if (ip === undefined) throw new RangeError(`${JSON.stringify(text)} is no IPv4 address`);
  return ip.bytes;
}

/** Throws RangeError for what is no IPv6 address. */
export function ip6Bytes(text: string): Uint8Array {
  const ip = text.includes(':') ? parseIp(text) : undefined;
  if (ip === undefined) throw new RangeError(`${JSON.stringify(text)} is no IPv6 address`);
  if (ip.family === 6) return ip.bytes;
  // ::ffff:1.2.3.4 is read as the IPv4 address it stands for; in a packet it is what it was.
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(ip.bytes, 12);
  return bytes;
}
