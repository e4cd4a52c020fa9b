/**
 * Bytes being written, growing as needed. Little-endian, as codec.ts explains, but for `be…`. A plugin writes some
 * thousands of numbers, each once, in an engine that interprets: what counts is how many steps a number takes. Hence one
 * DataView for all, and methods that write a whole attribute at once.
 */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  /** Of #bytes, whose own `length` is a call in the executables' engine. */
  #capacity: number;
  length = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
    this.#capacity = capacity;
  }

  /** Empty again, and what follows is written over what was there. */
  reset(): void {
    this.#bytes.fill(0, 0, this.length);
    this.length = 0;
  }

  /** Makes room for so many bytes and says where they begin. What is not written of them is zero. */
  #take(count: number): number {
    const at = this.length;
    const end = at + count;
    this.length = end;
    if (end > this.#capacity) this.#grow(end);
    return at;
  }

  #grow(length: number): void {
    const capacity = Math.max(length, this.#capacity * 2);
    const grown = new Uint8Array(capacity);
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#capacity = capacity;
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, true);
  }

  be16(value: number): void {
    const at = this.#take(2);
    this.#view.setUint16(at, value);
  }

  be32(value: number): void {
    const at = this.#take(4);
    this.#view.setUint32(at, value);
  }

  be64(value: bigint): void {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
  }

  zeros(count: number): void {
    this.#take(count);
  }

  /** Netlink aligns everything to four bytes. */
  align(): void {
    if (this.length & 3) this.#take(4 - (this.length & 3));
  }

  /** struct nlmsghdr, include/uapi/linux/netlink.h. Its length follows by `endMessage`, which gets what this returns. */
  beginMessage(type: number, flags: number, sequence: number): number {
    const at = this.#take(16);
    this.#view.setUint16(at + 4, type, true);
    this.#view.setUint16(at + 6, flags, true);
    this.#view.setUint32(at + 8, sequence, true);
    return at;
  }

  endMessage(at: number): void {
    this.#view.setUint32(at, this.length - at, true);
    this.align();
  }

  /** The head of an attribute (struct nlattr): its length follows by `endAttribute`, which gets what this returns. */
  beginAttribute(type: number): number {
    const at = this.#take(4);
    this.#view.setUint16(at + 2, type, true);
    return at;
  }

  endAttribute(at: number): void {
    const length = this.length - at;
    this.#view.setUint16(at, length, true);
    if (length & 3) this.#take(4 - (length & 3));
  }

  /** A whole attribute of four bytes. */
  u32Attribute(type: number, value: number): void {
    const at = this.#take(8);
    const view = this.#view;
    view.setUint16(at, 8, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, value, true);
  }

  /** The same in the order of the wire. */
  be32Attribute(type: number, value: number): void {
    const at = this.#take(8);
    const view = this.#view;
    view.setUint16(at, 8, true);
    view.setUint16(at + 2, type, true);
    view.setUint32(at + 4, value);
  }

  /** A whole attribute of these bytes, and of so many zeros after them. */
  bytesAttribute(type: number, value: Uint8Array, zeros = 0): void {
    const length = 4 + value.length + zeros;
    const at = this.#take((length + 3) & ~3);
    const view = this.#view;
    view.setUint16(at, length, true);
    view.setUint16(at + 2, type, true);
    this.#bytes.set(value, at + 4);
  }

  /** What was written so far; valid until the next write. */
  result(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
