/** Bytes being written, growing as needed. Little-endian, as codec.ts explains, but for `be…`. Numbers are taken apart
 *  here, not by a DataView: that is a call into the engine for each. */
export class Writer {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
  }

  #reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    this.patchU16(this.#reserve(2), value);
  }

  u32(value: number): void {
    this.patchU32(this.#reserve(4), value);
  }

  u64(value: bigint): void {
    const at = this.#reserve(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, value, true);
  }

  be16(value: number): void {
    const at = this.#reserve(2);
    this.#bytes[at] = value >> 8;
    this.#bytes[at + 1] = value;
  }

  be32(value: number): void {
    const at = this.#reserve(4);
    this.#bytes[at] = value >> 24;
    this.#bytes[at + 1] = value >> 16;
    this.#bytes[at + 2] = value >> 8;
    this.#bytes[at + 3] = value;
  }

  be64(value: bigint): void {
    const at = this.#reserve(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, value);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  zeros(count: number): void {
    const at = this.#reserve(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** Netlink aligns everything to four bytes. */
  align(): void {
    const rest = this.length % 4;
    if (rest) this.zeros(4 - rest);
  }

  /** Fills in a length that was not known when its place was written. */
  patchU16(at: number, value: number): void {
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >> 8;
  }

  patchU32(at: number, value: number): void {
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >> 8;
    this.#bytes[at + 2] = value >> 16;
    this.#bytes[at + 3] = value >> 24;
  }

  /** What was written so far; valid until the next write. */
  result(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
