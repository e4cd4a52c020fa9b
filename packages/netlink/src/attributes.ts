import { asciiz, type Codec, readFrom, type ValueOf } from './codec.ts';
import type { Writer } from './writer.ts';

const NLA_F_NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const encoder = new TextEncoder();

/** An attribute our table has no line for: kept, so that reading and writing back loses nothing. What was read has them
 *  under a name that does not count among its members, so that nobody pays for them who does not ask. */
export interface UnknownAttribute {
  readonly type: number;
  readonly bytes: Uint8Array;
}

// biome-ignore lint/suspicious/noExplicitAny: attributes are of any type; Values gives each its own
export type Table = Record<string, readonly [type: number, codec: Codec<any>]>;
export type Values<T extends Table> = { [K in keyof T]?: ValueOf<T[K][1]> | undefined } & {
  unknown?: UnknownAttribute[];
};

export interface Attributes<T extends Table> extends Codec<Values<T>> {
  readonly prefix: string;
  readonly table: T;
}

/** What a table's values look like: `Read<typeof linkAttributes>`. */
export type Read<C> = ValueOf<C>;

/**
 * A table of attributes: name, the kernel's number, codec. Reader, writer and type all come from it. Attributes are
 * written in the table's order; one that is undefined, or a flag that is false, is left out.
 */
export function attributes<const T extends Table>(prefix: string, table: T): Attributes<T> {
  const lines = linesOf(table);
  // Without holes, which the executables' engine looks up as it does members of an object.
  const byType: (Line | undefined)[] = [];
  for (const line of lines) {
    while (byType.length < line.type) byType.push(undefined);
    byType[line.type] = line;
  }
  return {
    prefix,
    table,
    nested: true,
    write(to, values) {
      const given: Record<string, unknown> = values;
      for (let i = 0; i < lines.length; i++) {
        const line = lines[i]!;
        const value = given[line.name];
        if (value === undefined || value === false) continue;
        const { writtenType, codec } = line;
        if (codec.element) {
          const all = value as unknown[];
          for (let at = 0; at < all.length; at++) writeAttribute(to, writtenType, codec.element, all[at]);
        } else writeAttribute(to, writtenType, codec, value);
      }
      if (!values.unknown) return;
      for (const { type, bytes } of values.unknown) to.bytesAttribute(type, bytes);
    },
    read(payload) {
      const values: Record<string, unknown> = {};
      let hasUnknown = false;
      const end = payload.length;
      // As attributesOf, but what nobody knows is not taken apart: a link comes with forty of those.
      for (let at = 0; at + 4 <= end; ) {
        const length = payload[at]! | (payload[at + 1]! << 8);
        const next = at + length;
        if (length < 4 || next > end) break;
        const known = byType[(payload[at + 2]! | (payload[at + 3]! << 8)) & TYPE_MASK];
        if (known) {
          const name = known.name;
          const codec = known.codec;
          const value = readFrom(codec, payload, at + 4, next);
          const before = values[name];
          values[name] =
            codec.element && before ? [...(before as unknown[]), ...(value as unknown[])] : value;
        } else hasUnknown = true;
        at += (length + 3) & ~3;
      }
      if (hasUnknown) {
        const copy = payload.slice();
        Object.defineProperty(values, 'unknown', {
          get: () => attributesOf(copy).filter(({ type }) => !byType[type & TYPE_MASK]),
        });
      }
      return values as Values<T>; // reason: filled from the same table the type is made of
    },
  };
}

interface Line {
  readonly name: string;
  readonly type: number;
  /** With its flag, if it is nested. */
  readonly writtenType: number;
  readonly codec: Codec<unknown>;
}

function linesOf(table: Table): Line[] {
  return Object.entries(table).map(([name, [type, codec]]) => ({
    name,
    type,
    writtenType: typeFor(type, codec),
    codec,
  }));
}

function typeFor(type: number, codec: Codec<unknown>): number {
  return codec.nested ? type | NLA_F_NESTED : type;
}

/** A table inside an attribute: the table itself, under the name the kernel's documents use. */
export function nest<T extends Table>(inner: Attributes<T>): Attributes<T> {
  return inner;
}

// biome-ignore lint/suspicious/noExplicitAny: each kind has data of its own type; Selected gives each its own
type Kinds = Record<string, Codec<any>>;

/**
 * A sub-message whose layout depends on a name written beside it: `select({ kind: 1, data: 2 }, kinds)` reads and
 * writes `{ kind: 'vlan', data: {…} }`. A kind without a table keeps its data as bytes.
 */
export function select<K extends Kinds>(
  types: { readonly kind: number; readonly data: number },
  kinds: K,
): Codec<Selected<K>> {
  // reason: the kind decides the codec at run time; Selected ties both together for callers
  const codecOf = (kind: string) => kinds[kind] as Codec<unknown> | undefined;
  return {
    nested: true,
    write(to, value) {
      // A kind left empty is none: gets, dumps and deletes need not name it.
      if (value.kind !== '') to.bytesAttribute(types.kind, encoder.encode(value.kind));
      if (value.data === undefined) return;
      const codec = codecOf(value.kind);
      if (codec) writeAttribute(to, typeFor(types.data, codec), codec, value.data);
      else to.bytesAttribute(types.data, value.data as Uint8Array);
    },
    read(payload) {
      let kind = '';
      let data: Uint8Array | undefined;
      const unknown: UnknownAttribute[] = [];
      const found = attributesOf(payload);
      for (let i = 0; i < found.length; i++) {
        const { type, bytes } = found[i]!;
        if ((type & TYPE_MASK) === types.kind) kind = asciiz.read(bytes);
        else if ((type & TYPE_MASK) === types.data) data = bytes;
        else unknown.push({ type: type & TYPE_MASK, bytes: bytes.slice() });
      }
      const value: { kind: string; data?: unknown; unknown?: UnknownAttribute[] } = { kind };
      if (data) value.data = codecOf(kind)?.read(data) ?? data.slice();
      if (unknown.length) value.unknown = unknown;
      return value as unknown as Selected<K>; // reason: as above
    },
  };
}

export type Selected<K extends Kinds> =
  | {
      [Kind in keyof K & string]: { kind: Kind; data?: ValueOf<K[Kind]>; unknown?: UnknownAttribute[] };
    }[keyof K & string]
  | { kind: string & {}; data?: unknown; unknown?: UnknownAttribute[] };

/** The attributes of a payload, their bytes not copied. Ends where the bytes stop making sense, as the kernel's own
 *  walk does. */
export function attributesOf(payload: Uint8Array): UnknownAttribute[] {
  const found: UnknownAttribute[] = [];
  const end = payload.length;
  let at = 0;
  // Numbers are put together right here: a call for each would take longer than the rest.
  while (at + 4 <= end) {
    const length = payload[at]! | (payload[at + 1]! << 8);
    if (length < 4 || at + length > end) break;
    const type = payload[at + 2]! | (payload[at + 3]! << 8);
    found.push({ type, bytes: payload.subarray(at + 4, at + length) });
    at += (length + 3) & ~3;
  }
  return found;
}

function writeAttribute(to: Writer, type: number, codec: Codec<unknown>, value: unknown): void {
  if (codec.writeAttribute) {
    codec.writeAttribute(to, type, value);
    return;
  }
  const start = to.beginAttribute(type);
  codec.write(to, value);
  to.endAttribute(start);
}
