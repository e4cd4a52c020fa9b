/** Bytes being written, growing as needed. Little-endian, as codec.ts explains, but for `be…`. Numbers are taken apart
 *  right where they are written, by no DataView and no helper: a plugin writes thousands, once, uncompiled. */
export class Writer {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  u8(value: number): void {
    const at = this.length;
    this.length = at + 1;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.length;
    this.length = at + 2;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    const bytes = this.#bytes;
    bytes[at] = value;
    bytes[at + 1] = value >> 8;
  }

  u32(value: number): void {
    const at = this.length;
    this.length = at + 4;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    const bytes = this.#bytes;
    bytes[at] = value;
    bytes[at + 1] = value >> 8;
    bytes[at + 2] = value >> 16;
    bytes[at + 3] = value >> 24;
  }

  u64(value: bigint): void {
    this.u32(Number(BigInt.asUintN(32, value)));
    this.u32(Number(BigInt.asUintN(32, value >> 32n)));
  }

  be16(value: number): void {
    this.u8(value >> 8);
    this.u8(value);
  }

  be32(value: number): void {
    const at = this.length;
    this.length = at + 4;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    const bytes = this.#bytes;
    bytes[at] = value >> 24;
    bytes[at + 1] = value >> 16;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value;
  }

  be64(value: bigint): void {
    this.be32(Number(BigInt.asUintN(32, value >> 32n)));
    this.be32(Number(BigInt.asUintN(32, value)));
  }

  bytes(value: Uint8Array): void {
    const at = this.length;
    this.length = at + value.length;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    this.#bytes.set(value, at);
  }

  zeros(count: number): void {
    this.length += count;
    // What was never written is zero.
    if (this.length > this.#bytes.length) this.#grow(this.length);
  }

  /** Netlink aligns everything to four bytes. */
  align(): void {
    if (this.length & 3) this.zeros(4 - (this.length & 3));
  }

  /** The head of an attribute (struct nlattr): its length follows by `endAttribute`, which gets what this returns. */
  beginAttribute(type: number): number {
    const at = this.length;
    this.length = at + 4;
    if (this.length > this.#bytes.length) this.#grow(this.length);
    this.#bytes[at + 2] = type;
    this.#bytes[at + 3] = type >> 8;
    return at;
  }

  endAttribute(at: number): void {
    const length = this.length - at;
    this.#bytes[at] = length;
    this.#bytes[at + 1] = length >> 8;
    if (length & 3) this.zeros(4 - (length & 3));
  }

  /** Fills in a length that was not known when its place was written. */
  patchU32(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value;
    bytes[at + 1] = value >> 8;
    bytes[at + 2] = value >> 16;
    bytes[at + 3] = value >> 24;
  }

  /** What was written so far; valid until the next write. */
  result(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
