/** The checksum of IP, UDP and ICMPv6 (RFC 1071): ones' complement of the sum of 16-bit words. */

/** Adds the bytes from `from` to `to` to a sum; an odd one at the end counts as if a zero followed. A sum of up to 64 KiB
 *  does not leave 32 bits. */
export function addToSum(sum: number, bytes: Uint8Array, from: number, to: number): number {
  let total = sum;
  let at = from;
  for (; at + 1 < to; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < to) total += bytes[at]! << 8;
  return total;
}

/** What is written into the packet; 0 when the packet is summed up with its own checksum and that is right. */
export function checksumOf(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}
