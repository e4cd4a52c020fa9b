/** The registers that rules work on, and how values lie in them. */

/** NFT_REG_1…4 are 16 bytes each, NFT_REG32_00 (8) and up four, over the same memory. */
export function firstWord(register = 1): number {
  return register < 8 ? (register - 1) * 4 : register - 8;
}

/** As the machine has it: little-endian on all that we run on. */
export function word(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff);
}

export function number(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
}

export function linkName(name = ''): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(name).subarray(0, 15));
  return bytes;
}
