import { asciiz, type Codec, type ValueOf } from './codec.ts';
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
  let byType: Map<number, [string, Codec<unknown>]> | undefined;
  const names = Object.keys(table);
  return {
    prefix,
    table,
    nested: true,
    write(to, values) {
      const given: Record<string, unknown> = values;
      for (let i = 0; i < names.length; i++) {
        const name = names[i]!;
        const value = given[name];
        if (value === undefined || value === false) continue;
        const line = table[name]!;
        const codec = line[1];
        if (codec.repeated) for (const one of value as unknown[]) writeAttribute(to, line[0], codec, [one]);
        else writeAttribute(to, line[0], codec, value);
      }
      if (!values.unknown) return;
      for (const { type, bytes } of values.unknown) writeRaw(to, type, bytes);
    },
    read(payload) {
      byType ??= codecsByType(table);
      const values: Record<string, unknown> = {};
      let hasUnknown = false;
      // As attributesOf, but what nobody knows is not taken apart: a link comes with forty of those.
      for (let at = 0; at + 4 <= payload.length; ) {
        const length = payload[at]! | (payload[at + 1]! << 8);
        if (length < 4 || at + length > payload.length) break;
        const known = byType.get((payload[at + 2]! | (payload[at + 3]! << 8)) & TYPE_MASK);
        if (known) {
          const name = known[0];
          const codec = known[1];
          const value = codec.read(payload.subarray(at + 4, at + length));
          const before = values[name];
          values[name] =
            codec.repeated && before ? [...(before as unknown[]), ...(value as unknown[])] : value;
        } else hasUnknown = true;
        at += (length + 3) & ~3;
      }
      if (hasUnknown) {
        const copy = payload.slice();
        const types = byType;
        Object.defineProperty(values, 'unknown', {
          get: () => attributesOf(copy).filter(({ type }) => !types.has(type & TYPE_MASK)),
        });
      }
      return values as Values<T>; // reason: filled from the same table the type is made of
    },
  };
}

function codecsByType(table: Table): Map<number, [name: string, codec: Codec<unknown>]> {
  const byType = new Map<number, [string, Codec<unknown>]>();
  for (const name in table) byType.set(table[name]![0], [name, table[name]![1]]);
  return byType;
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
      if (value.kind !== '') writeRaw(to, types.kind, encoder.encode(value.kind));
      if (value.data === undefined) return;
      const codec = codecOf(value.kind);
      if (codec) writeAttribute(to, types.data, codec, value.data);
      else writeRaw(to, types.data, value.data as Uint8Array);
    },
    read(payload) {
      let kind = '';
      let data: Uint8Array | undefined;
      const unknown: UnknownAttribute[] = [];
      for (const { type, bytes } of attributesOf(payload)) {
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
  let at = 0;
  // Numbers are put together right here: a call for each would take longer than the rest.
  while (at + 4 <= payload.length) {
    const length = payload[at]! | (payload[at + 1]! << 8);
    if (length < 4 || at + length > payload.length) break;
    const type = payload[at + 2]! | (payload[at + 3]! << 8);
    found.push({ type, bytes: payload.subarray(at + 4, at + length) });
    at += (length + 3) & ~3;
  }
  return found;
}

function writeAttribute(to: Writer, type: number, codec: Codec<unknown>, value: unknown): void {
  const start = to.beginAttribute(codec.nested ? type | NLA_F_NESTED : type);
  codec.write(to, value);
  to.endAttribute(start);
}

function writeRaw(to: Writer, type: number, bytes: Uint8Array): void {
  const start = to.beginAttribute(type);
  to.bytes(bytes);
  to.endAttribute(start);
}
