/** Writing gob: one of these for each direction of a connection, since a type is defined once in it. */
import {
  basicIds,
  firstOwnId,
  type GobObject,
  type GobStruct,
  type GobType,
  type GobValue,
} from './gob-types.ts';

export class GobWriter {
  readonly #ids = new Map<GobType, number>();

  /** The bytes of a value: definitions that were not sent before, and the value's message. */
  message(type: GobStruct, value: GobObject): Uint8Array {
    const all = new Bytes();
    const id = this.#define(type, all);
    const body = new Bytes();
    body.int(id);
    this.#value(type, value, body);
    all.message(body);
    return all.result();
  }

  /** Two messages that belong together, to be written at once: who reads them is woken once. */
  pair(type: GobStruct, value: GobObject, secondType: GobStruct, second: GobObject): Uint8Array {
    const [first, rest] = [this.message(type, value), this.message(secondType, second)];
    const all = new Uint8Array(first.length + rest.length);
    all.set(first);
    all.set(rest, first.length);
    return all;
  }

  #define(type: GobType, all: Bytes): number {
    if (typeof type === 'string') return basicIds[type];
    const known = this.#ids.get(type);
    if (known !== undefined) return known;
    const id = firstOwnId + this.#ids.size;
    this.#ids.set(type, id);
    const parts = 'struct' in type ? type.fields.map(([, part]) => part) : [type.list];
    const ids = parts.map((part) => this.#define(part, all));
    const body = new Bytes();
    body.int(-id);
    // wireType: field 1 is a slice, 2 a struct; each begins with its common part, name and number.
    body.uint('struct' in type ? 3 : 2);
    body.uint(1);
    const name = 'struct' in type ? type.struct : type.name;
    if (name !== '') {
      body.uint(1);
      body.text(name);
    }
    body.uint(name === '' ? 2 : 1);
    body.int(id);
    body.uint(0);
    if ('struct' in type) writeFields(type, ids, body);
    else {
      body.uint(1);
      body.int(ids[0]!);
    }
    body.uint(0);
    body.uint(0);
    all.message(body);
    return id;
  }

  #value(type: GobType, value: GobValue, into: Bytes): void {
    if (type === 'bool') into.uint(value ? 1 : 0);
    else if (type === 'int') into.int(Number(value));
    else if (type === 'uint') into.uint(Number(value));
    else if (type === 'string') into.text(String(value));
    else if (type === 'bytes')
      into.bytes(value as Uint8Array); // reason: the type says what the value is
    else if ('struct' in type)
      this.#struct(type, value as GobObject, into); // reason: the same
    else {
      const items = value as readonly GobValue[]; // reason: the same
      into.uint(items.length);
      for (const item of items) this.#value(type.list, item, into);
    }
  }

  #struct(type: GobStruct, value: GobObject, into: Bytes): void {
    let last = -1;
    for (const [i, [name, of]] of type.fields.entries()) {
      const field = value[name] ?? (isStruct(of) ? {} : undefined);
      if (field === undefined || isZero(field)) continue;
      into.uint(i - last);
      this.#value(of, field, into);
      last = i;
    }
    into.uint(0);
  }
}

function writeFields(type: GobStruct, ids: readonly number[], body: Bytes): void {
  if (type.fields.length === 0) return;
  body.uint(1);
  body.uint(type.fields.length);
  for (const [i, [name]] of type.fields.entries()) {
    body.uint(1);
    body.text(name);
    body.uint(1);
    body.int(ids[i]!);
    body.uint(0);
  }
}

function isStruct(type: GobType): boolean {
  return typeof type !== 'string' && 'struct' in type;
}

/** Not sent: 0, false, and what is empty, but a struct is. */
function isZero(value: GobValue): boolean {
  if (typeof value === 'object') return 'length' in value && value.length === 0;
  return value === 0 || value === '' || value === false;
}

class Bytes {
  #bytes = new Uint8Array(256);
  #length = 0;

  result(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  message(body: Bytes): void {
    const bytes = body.result();
    this.uint(bytes.length);
    this.raw(bytes);
  }

  raw(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(end * 2);
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  text(text: string): void {
    this.bytes(new TextEncoder().encode(text));
  }

  bytes(bytes: Uint8Array): void {
    this.uint(bytes.length);
    this.raw(bytes);
  }

  /** Below 128 as one byte, else the count of bytes as a negative number and the number from its highest byte on. */
  uint(value: number): void {
    if (value < 128) {
      this.raw(new Uint8Array([value]));
      return;
    }
    const digits: number[] = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
    this.raw(new Uint8Array([256 - digits.length, ...digits]));
  }

  /** The lowest bit says that the others are to be turned. */
  int(value: number): void {
    this.uint(value < 0 ? (-value - 1) * 2 + 1 : value * 2);
  }
}
