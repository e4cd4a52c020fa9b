/** As the kernel makes one: any but for the bits that say unicast and locally administered. */
export function randomMac(): Uint8Array {
  const high = Math.random() * 0x1000000;
  const low = Math.random() * 0x1000000;
  return Uint8Array.of(((high >> 16) & 0xfc) | 2, high >> 8, high, low >> 16, low >> 8, low);
}
