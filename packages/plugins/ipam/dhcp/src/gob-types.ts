/**
 * The part of Go's encoding "gob" that the daemon's protocol needs: what types there are. A stream of messages, each
 * with its length in front, in which the sender defines its types before it uses them; who reads goes by the names of
 * fields, so that each side may have fields the other does not know.
 */

/** A type as a value: what is sent is told by these. */
export type GobType = 'bool' | 'int' | 'uint' | 'bytes' | 'string' | GobStruct | GobList;

export interface GobStruct {
  readonly struct: string;
  readonly fields: readonly (readonly [name: string, type: GobType])[];
}

export interface GobList {
  /** The list's type as Go would write it. */
  readonly name: string;
  readonly list: GobType;
}

/** What was read, or is to be written: fields with a zero value are left out. */
export type GobValue = boolean | number | string | Uint8Array | readonly GobValue[] | GobObject;
export interface GobObject {
  readonly [field: string]: GobValue | undefined;
}

/** The numbers that every stream begins with. */
export const basicIds = { bool: 1, int: 2, uint: 3, float: 4, bytes: 5, string: 6 } as const;
/** The first that a stream gives itself. */
export const firstOwnId = 64;

export const text = 'string';

export function struct(name: string, fields: Readonly<Record<string, GobType>>): GobStruct {
  return { struct: name, fields: Object.entries(fields) };
}

export function list(name: string, of: GobType): GobList {
  return { name, list: of };
}
