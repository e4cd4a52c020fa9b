import type { Ip } from '@cni-ts/address/ip';
import { systemBytes, systemText } from '@cni-ts/libc/system-text';
import { u16At, u32At } from './bytes.ts';
import type { Writer } from './writer.ts';

/**
 * How one value lies in a netlink message. The kernel's own numbers are in the machine's byte order, which on
 * everything we ship for is little-endian; those of the wire (`be…`) are big-endian whatever the machine.
 */
export interface Codec<T> {
  write(to: Writer, value: T): void;
  /** `bytes` is exactly this value's payload. */
  read(bytes: Uint8Array): T;
  /** The same for a payload that lies from `at` to `end` in a message, where it need not be cut out first: most of what
   *  reading small numbers takes. */
  readAt?(message: Uint8Array, at: number, end: number): T;
  /** Writes the whole attribute, where that takes fewer steps than its head, its value and its end. */
  writeAttribute?(to: Writer, type: number, value: T): void;
  /** Bytes of a fixed-size value; needed for members of a struct. */
  readonly size?: number;
  /** The value is an array, written as one attribute per element, by this codec (the kernel calls it multi-attr). */
  // biome-ignore lint/suspicious/noExplicitAny: T is an array of what this is for; `list` ties both together
  readonly element?: Codec<any>;
  /** The payload consists of attributes: NLA_F_NESTED is set on it. */
  readonly nested?: true;
}

/** The value whose payload lies from `at` to `end`. */
export function readFrom<T>(codec: Codec<T>, message: Uint8Array, at: number, end: number): T {
  return codec.readAt ? codec.readAt(message, at, end) : codec.read(message.subarray(at, end));
}

export type ValueOf<C> = C extends Codec<infer T> ? T : never;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export const u8: Codec<number> = {
  size: 1,
  write: (to, value) => to.u8(value),
  read: (bytes) => bytes[0] ?? 0,
  readAt: (bytes, at, end) => (at < end ? bytes[at]! : 0),
};
export const u16: Codec<number> = {
  size: 2,
  write: (to, value) => to.u16(value),
  read: (bytes) => u16At(bytes, 0),
  readAt: (bytes, at, end) => (end - at < 2 ? u16At(bytes.subarray(at, end), 0) : u16At(bytes, at)),
};
export const u32: Codec<number> = {
  size: 4,
  write: (to, value) => to.u32(value),
  writeAttribute: (to, type, value) => to.u32Attribute(type, value),
  read: (bytes) => u32At(bytes, 0),
  readAt: (bytes, at, end) => (end - at < 4 ? u32At(bytes.subarray(at, end), 0) : u32At(bytes, at)),
};
export const s32: Codec<number> = {
  size: 4,
  write: (to, value) => to.u32(value >>> 0),
  read: (bytes) => u32At(bytes, 0) | 0,
};
export const u64: Codec<bigint> = {
  size: 8,
  write: (to, value) => to.u64(value),
  read: (bytes) => view(bytes).getBigUint64(0, true),
};
export const be16: Codec<number> = {
  size: 2,
  write: (to, value) => to.be16(value),
  read: (bytes) => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0),
};
export const be32: Codec<number> = {
  size: 4,
  write: (to, value) => to.be32(value),
  writeAttribute: (to, type, value) => to.be32Attribute(type, value),
  read: (bytes) =>
    (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0,
  readAt: (bytes, at, end) =>
    end - at < 4
      ? be32.read(bytes.subarray(at, end))
      : ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0,
};
export const be64: Codec<bigint> = {
  size: 8,
  write: (to, value) => to.be64(value),
  read: (bytes) => view(bytes).getBigUint64(0),
};

/** Whatever it is, as it is. Reading copies, so that the value outlives the receive buffer. */
export const bytes: Codec<Uint8Array> = {
  write: (to, value) => to.bytes(value),
  writeAttribute: (to, type, value) => to.bytesAttribute(type, value),
  read: (payload) => payload.slice(),
  readAt: (message, at, end) => message.slice(at, end),
};

/** An IPv4 or IPv6 address, told apart by its length. */
export const ip: Codec<Ip> = {
  write: (to, value) => to.bytes(value.bytes),
  read: (payload) => ({ family: payload.length === 4 ? 4 : 6, bytes: payload.slice() }),
};

/** A string with its terminating NUL. Writing throws a SyscallError (EINVAL) for one that has a NUL in it. What is no
 *  UTF-8 is read and written as it is (see systemText). */
export const asciiz: Codec<string> = {
  write: (to, value) => to.bytes(systemBytes(value, true)),
  writeAttribute: (to, type, value) => to.bytesAttribute(type, systemBytes(value), 1),
  read: (payload) => {
    const end = payload.indexOf(0);
    return systemText(end < 0 ? payload : payload.subarray(0, end));
  },
  readAt: (message, at, end) => {
    const nul = message.indexOf(0, at);
    return systemText(message.subarray(at, nul < 0 || nul > end ? end : nul));
  },
};

/** A string without NUL at its end (IFLA_INFO_KIND as the kernel's own tools write it). Reading drops one that is there. */
export const text: Codec<string> = {
  write: (to, value) => to.bytes(systemBytes(value)),
  writeAttribute: (to, type, value) => to.bytesAttribute(type, systemBytes(value)),
  read: asciiz.read,
};

/** An attribute whose presence is the value. False is not written. */
export const flag: Codec<true> = { write: () => undefined, read: () => true, readAt: () => true };

/** A C structure: members in order, no padding but what is spelled out. */
// biome-ignore lint/suspicious/noExplicitAny: members are of any type; the mapped type gives each its own
export function struct<M extends Record<string, Codec<any>>>(
  members: M,
): Codec<{ [K in keyof M]: ValueOf<M[K]> }> {
  const names = Object.keys(members);
  const codecs = Object.values(members);
  let size = 0;
  for (const [name, codec] of Object.entries(members)) {
    if (codec.size === undefined) throw new Error(`struct member ${name} has no fixed size`);
    size += codec.size;
  }
  return {
    size,
    write(to, value) {
      // Not taken apart by iteration, which takes longer than the rest.
      for (let i = 0; i < names.length; i++) codecs[i]!.write(to, value[names[i]!] ?? 0);
    },
    read(payload) {
      const value: Record<string, unknown> = {};
      const given = payload.length;
      let offset = 0;
      for (let i = 0; i < names.length; i++) {
        const name = names[i]!;
        const codec = codecs[i]!;
        const end = offset + (codec.size ?? 0);
        // An older kernel's structure may be shorter than ours: what it lacks reads as zero.
        if (end <= given) value[name] = readFrom(codec, payload, offset, end);
        else value[name] = codec.read(new Uint8Array(codec.size ?? 0));
        offset = end;
      }
      return value as { [K in keyof M]: ValueOf<M[K]> }; // reason: filled member by member above
    },
  };
}

/** Reserved bytes inside a struct. */
export function padding(size: number): Codec<number> {
  return { size, write: (to) => to.zeros(size), read: () => 0, readAt: () => 0 };
}

/** A fixed number of raw bytes inside a struct. */
export function fixedBytes(size: number): Codec<Uint8Array> {
  return {
    size,
    write: (to, value) => {
      to.bytes(value.subarray(0, size));
      to.zeros(Math.max(0, size - value.length));
    },
    read: (payload) => payload.slice(0, size),
  };
}

/** A number whose bits have names: `{ up: true, promisc: true }`. Bits without a name are kept in `rest`. */
export function flags<B extends Record<string, number>>(
  codec: Codec<number>,
  bits: B,
): Codec<{ [K in keyof B]?: boolean } & { rest?: number }> {
  return {
    ...sizeOf(codec),
    write(to, value) {
      let sum = value.rest ?? 0;
      for (const [name, bit] of Object.entries(bits)) if (value[name]) sum |= bit;
      codec.write(to, sum >>> 0);
    },
    read(payload) {
      let rest = codec.read(payload);
      const value: Record<string, boolean | number> = {};
      for (const [name, bit] of Object.entries(bits)) {
        if (rest & bit) value[name] = true;
        rest &= ~bit;
      }
      if (rest) value.rest = rest >>> 0;
      return value as { [K in keyof B]?: boolean } & { rest?: number }; // reason: filled from the same table
    },
  };
}

/** A number that stands for one of a few words. A number without a word reads as `#<n>`. */
export function oneOf<W extends Record<string, number>>(
  codec: Codec<number>,
  words: W,
): Codec<keyof W & string> {
  const names = Object.keys(words);
  const numberOf = (word: string) => words[word] ?? Number(word.slice(1));
  const wordOf = (n: number): keyof W & string => {
    for (let i = 0; i < names.length; i++) if (words[names[i]!] === n) return names[i]!;
    return `#${n}` as keyof W & string; // reason: an unknown word still has to be shown
  };
  return {
    ...sizeOf(codec),
    write: (to, value) => codec.write(to, numberOf(value)),
    read: (payload) => wordOf(codec.read(payload)),
    readAt: (message, at, end) => wordOf(readFrom(codec, message, at, end)),
  };
}

function sizeOf(codec: Codec<number>): { readonly size?: number } {
  return codec.size === undefined ? {} : { size: codec.size };
}

/** An attribute that may occur many times in its table: the value is an array. */
export function list<T>(codec: Codec<T>): Codec<T[]> {
  return {
    element: codec,
    ...(codec.nested ? { nested: true as const } : {}),
    write: (to, values) => {
      for (let i = 0; i < values.length; i++) codec.write(to, values[i]!);
    },
    read: (payload) => [codec.read(payload)],
    readAt: (message, at, end) => [readFrom(codec, message, at, end)],
  };
}
