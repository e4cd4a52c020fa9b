/** Reading gob from a stream that somebody else writes: every length is checked, and what is kept is bounded. */
import { basicIds, firstOwnId, type GobObject, type GobValue } from './gob-types.ts';

/** What a stream said of a type: a struct's fields, or what a list is of. */
type Definition =
  | { readonly kind: 'struct'; readonly fields: readonly Field[] }
  | { readonly kind: 'list'; readonly of: number };
interface Field {
  readonly name: string;
  readonly type: number;
}

/** A conversation of ours has twelve types, which lie four deep in one another. */
const mostTypes = 200;
const deepest = 40;

/** A stream that is no gob, or none that we read. The connection is of no use any more. */
export class GobError extends Error {
  override readonly name = 'GobError';
}

export class GobReader {
  readonly #types = new Map<number, Definition>();

  /**
   * Reads one message, without its length: a value, or undefined for a definition, which is kept. Throws GobError.
   * Fields with a zero value are absent.
   */
  read(message: Uint8Array): GobObject | undefined {
    const input = new Input(message);
    const id = input.int();
    if (id < 0) {
      this.#define(-id, input);
      return undefined;
    }
    const value = this.#value(id, input, 0);
    if (!isObject(value)) throw new GobError('a message is no struct');
    return value;
  }

  #define(id: number, input: Input): void {
    if (id < firstOwnId || this.#types.has(id)) throw new GobError(`type ${id} cannot be defined`);
    if (this.#types.size >= mostTypes) throw new GobError(`there are more than ${mostTypes} types`);
    // wireType has a field for each kind: array, slice, struct, map, and three that encode themselves.
    const kind = input.uint();
    if (kind === 2) {
      let of = 0;
      eachField(input, (field) => {
        if (field === 0) skipCommon(input);
        else if (field === 1) of = input.int();
        else throw new GobError('a list has an unknown field');
      });
      this.#types.set(id, { kind: 'list', of });
    } else if (kind === 3) {
      let fields: readonly Field[] = [];
      eachField(input, (field) => {
        if (field === 0) skipCommon(input);
        else if (field === 1) fields = readFields(input);
        else throw new GobError('a struct has an unknown field');
      });
      this.#types.set(id, { kind: 'struct', fields });
    } else throw new GobError(`a type of kind ${kind} is not known here`);
    if (input.uint() !== 0) throw new GobError('a type has more than one kind');
  }

  #value(id: number, input: Input, depth: number): GobValue {
    if (depth > deepest) throw new GobError('values lie too deep in one another');
    switch (id) {
      case basicIds.bool:
        return input.uint() !== 0;
      case basicIds.int:
        return input.int();
      case basicIds.uint:
        return input.uint();
      case basicIds.float:
        return input.big();
      case basicIds.bytes:
        return input.bytes().slice();
      case basicIds.string:
        return new TextDecoder().decode(input.bytes());
    }
    const type = this.#types.get(id);
    if (!type) throw new GobError(`type ${id} was not defined`);
    if (type.kind === 'struct') return this.#struct(type.fields, input, depth);
    const count = input.uint();
    if (count > input.left) throw new GobError('a list is longer than its message');
    const items: GobValue[] = [];
    for (let i = 0; i < count; i++) items.push(this.#value(type.of, input, depth + 1));
    return items;
  }

  #struct(fields: readonly Field[], input: Input, depth: number): GobObject {
    const value: Record<string, GobValue> = Object.create(null) as Record<string, GobValue>; // reason: empty
    eachField(input, (at) => {
      const field = fields[at];
      if (!field) throw new GobError('a struct has more fields than its type');
      value[field.name] = this.#value(field.type, input, depth + 1);
    });
    return value;
  }
}

function isObject(value: GobValue): value is GobObject {
  return typeof value === 'object' && !(value instanceof Uint8Array) && !Array.isArray(value);
}

/** Calls `read` with the number of each field that was sent. */
function eachField(input: Input, read: (field: number) => void): void {
  let at = -1;
  for (let step = input.uint(); step !== 0; step = input.uint()) {
    at += step;
    read(at);
  }
}

/** A type's own name and number: the message has said the number already, and the name is for people. */
function skipCommon(input: Input): void {
  eachField(input, (field) => {
    if (field === 0) input.bytes();
    else input.int();
  });
}

function readFields(input: Input): Field[] {
  const count = input.uint();
  if (count > mostTypes) throw new GobError('a struct has too many fields');
  const fields: Field[] = [];
  for (let i = 0; i < count; i++) {
    let name = '';
    let type = 0;
    eachField(input, (field) => {
      if (field === 0) name = new TextDecoder().decode(input.bytes());
      else type = input.int();
    });
    fields.push({ name, type });
  }
  return fields;
}

class Input {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(): Uint8Array {
    const length = this.uint();
    if (length > this.left) throw new GobError('a text is longer than its message');
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  uint(): number {
    const value = this.big();
    if (!Number.isSafeInteger(value)) throw new GobError('a number is too large');
    return value;
  }

  int(): number {
    const value = this.uint();
    return value % 2 === 0 ? value / 2 : -(value - 1) / 2 - 1;
  }

  /** A number of up to 64 bits, the last of which may be lost. */
  big(): number {
    const read = readUint(this.#bytes, this.#at);
    if (!read) throw new GobError('a message ends in the middle of a number');
    this.#at = read.end;
    return read.value;
  }
}

/**
 * The unsigned number at this place, and where it ends; undefined when the bytes end before. Throws GobError for one of
 * more than 64 bits.
 */
export function readUint(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  const first = bytes[at];
  if (first === undefined) return undefined;
  if (first < 128) return { value: first, end: at + 1 };
  const count = 256 - first;
  if (count > 8) throw new GobError('a number has more than 64 bits');
  if (at + 1 + count > bytes.length) return undefined;
  let value = 0;
  for (let i = 1; i <= count; i++) value = value * 256 + bytes[at + i]!;
  return { value, end: at + 1 + count };
}
