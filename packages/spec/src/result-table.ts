/**
 * Tables of members, and what follows from every table in the same way: the type of an entry, how it is read from
 * untrusted JSON, copied, and laid out for printing. By hand rather than by a schema: every plugin in a chain reads a
 * result, and lives for milliseconds.
 */
import { type Codec, join, type Shape, wrongType } from './result-codec.ts';

/**
 * Members of a result, or of an entry in it, that no spec version we know has. They are handed on as they came, through
 * every conversion that keeps the entry. Under a symbol, which no member of a result can be taken for, and which goes
 * along where an entry is spread into another.
 */
export const others: unique symbol = Symbol('others');
export type Others = Readonly<Record<string, unknown>>;

/** One member. */
interface Member {
  readonly is: Codec<unknown> & { readonly of?: Table };
  /** The arrangements that have it; default all. */
  readonly in?: readonly Shape[];
  /** It is there, though maybe empty. Any other member is left out when it is empty. */
  readonly always?: true;
  /** The arrangements that print it when it has nothing in it. */
  readonly bare?: readonly Shape[];
}

/** By name, in the order they are read and, before 1.0.0, printed: that of the reference's declarations. From 1.0.0 on
 *  they are printed by the alphabet. */
type Members = Readonly<Record<string, Member>>;

interface Row extends Member {
  readonly name: string;
}

/** The members of one arrangement. */
interface Arrangement {
  readonly byName: Readonly<Record<string, Row>>;
  readonly printed: readonly Row[];
  /** Those that must be there. */
  readonly always: readonly Row[];
}

export interface Table<M extends Members = Members> extends Readonly<Record<Shape, Arrangement>> {
  /** Of all arrangements. */
  readonly members: M;
}

export function table<const M extends Members>(members: M): Table<M> {
  const rows = Object.entries(members).map(([name, member]): Row => ({ name, ...member }));
  const sorted = rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    members: withoutPrototype(members),
    '0.1.0': arrangement('0.1.0', rows),
    '0.3.0': arrangement('0.3.0', rows),
    '1.0.0': arrangement('1.0.0', sorted),
  };
}

function arrangement(shape: Shape, rows: readonly Row[]): Arrangement {
  const printed = rows.filter((row) => row.in?.includes(shape) ?? true);
  const byName = withoutPrototype(Object.fromEntries(printed.map((row) => [row.name, row])));
  return { byName, printed, always: printed.filter((row) => row.always) };
}

/** So that a name is looked up among these alone. */
function withoutPrototype<T extends object>(given: T): T {
  return Object.assign(Object.create(null), given);
}

/** An entry as its table has it in this arrangement. */
export type Entry<T, S extends Shape> = T extends Table<infer M> ? EntryOf<M, S> : never;

type EntryOf<M extends Members, S extends Shape> = {
  -readonly [K in keyof M as M[K] extends { always: true } ? Has<M, K, S> : never]: Value<M[K]['is'], S>;
} & {
  -readonly [K in keyof M as M[K] extends { always: true } ? never : Has<M, K, S>]?: Value<M[K]['is'], S>;
} & { [others]?: Others };

type Has<M extends Members, K extends keyof M, S> = M[K] extends { readonly in: readonly (infer A)[] }
  ? S extends A
    ? K
    : never
  : K;

type Value<C, S extends Shape> =
  C extends ListOf<infer M>
    ? EntryOf<M, S>[]
    : C extends OneOf<infer M>
      ? EntryOf<M, S>
      : C extends Codec<infer T>
        ? T
        : never;

export interface ListOf<M extends Members> extends Codec<Json[]> {
  readonly of: Table<M>;
}

export interface OneOf<M extends Members> extends Codec<Json> {
  readonly of: Table<M>;
}

/** A member that is an entry. */
export function one<M extends Members>(of: Table<M>): OneOf<M> {
  return {
    of,
    read(value, at, name, shape) {
      if (value === undefined || value === null) return {};
      const entry = readEntry(of, value, join(at, name), shape);
      return isEmpty(entry) ? undefined : entry;
    },
  };
}

/** A member that is a list of entries. A null among them is refused, not skipped: indices such as ips[].interface count
 *  on every element. */
export function list<M extends Members>(of: Table<M>): ListOf<M> {
  return {
    of,
    read(value, at, name, shape) {
      if (value === undefined || value === null) return [];
      const path = join(at, name);
      if (!Array.isArray(value)) throw wrongType(path, 'a list', value);
      const entries: Json[] = [];
      for (let i = 0; i < value.length; i++) entries.push(readEntry(of, value[i], `${path}[${i}]`, shape));
      return entries.length === 0 ? undefined : entries;
    },
  };
}

/** A JSON object, or an entry, whose members are looked at by name. */
type Json = Record<string, unknown> & { [others]?: Others };

/**
 * Reads a JSON object as an entry. `null` counts as absent; what no arrangement knows is kept beside the rest, and what
 * another one has is dropped, as in the reference library. Throws CniError 6 that names the member by its path,
 * `ips[0].address`.
 */
export function readEntry(of: Table, value: unknown, at: string, shape: Shape): Json {
  const json = objectOf(value, at);
  const { byName, always } = of[shape];
  const entry: Json = {};
  // A result that a plugin of this program made may bring some along.
  const brought = json[others];
  let more: Record<string, unknown> | undefined;
  const keys = Object.keys(json);
  for (let i = 0; i < keys.length; i++) {
    const name = keys[i]!;
    const given = json[name];
    const row = byName[name];
    if (row === undefined) {
      if (given === undefined || of.members[name]) continue;
      // Without a prototype, so that a member of any name is just a member.
      more ??= withoutPrototype({ ...brought });
      more[name] = given;
    } else if (given !== undefined && (given !== null || row.always)) {
      const read = row.is.read(given, at, name, shape);
      if (read !== undefined && (read !== '' || row.always)) entry[name] = read;
    }
  }
  for (let i = 0; i < always.length; i++) {
    const { name, is } = always[i]!;
    if (entry[name] === undefined) entry[name] = is.read(undefined, at, name, shape);
  }
  const kept = more ?? brought;
  if (kept !== undefined) entry[others] = kept;
  return entry;
}

export function objectOf(value: unknown, at: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Json; // reason: an object, whose members are looked at one by one
  }
  throw wrongType(at || 'result', 'an object', value);
}

/** What this arrangement has of an entry, copied deeply; but what is unknown is never changed, so it is shared. */
export function copyEntry(of: Table, entry: object, shape: Shape): Json {
  return arranged(of, entry as Json, shape, false); // reason: read or made by a table
}

/** The same in the order of printing, what is unknown last, and what is empty left out. */
export function jsonEntry(of: Table, entry: object, shape: Shape): Json {
  return arranged(of, entry as Json, shape, true); // reason: read or made by a table
}

function arranged(of: Table, entry: Json, shape: Shape, asJson: boolean): Json {
  const made: Json = {};
  const rows = of[shape].printed;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const value = entry[row.name];
    if (value === undefined) continue;
    if (typeof value === 'string' || typeof value === 'number') made[row.name] = value;
    else if (!asJson || !row.always || !isEmpty(value) || row.bare?.includes(shape)) {
      made[row.name] = inner(row.is.of, value, shape, asJson);
    }
  }
  const more = entry[others];
  if (more !== undefined && asJson) addMembers(made, more);
  else if (more !== undefined) made[others] = more;
  return made;
}

function inner(of: Table | undefined, value: unknown, shape: Shape, asJson: boolean): unknown {
  if (!Array.isArray(value)) return of ? arranged(of, value as Json, shape, asJson) : value;
  if (of === undefined) return value.slice();
  const entries: Json[] = [];
  for (let i = 0; i < value.length; i++) entries.push(arranged(of, value[i], shape, asJson));
  return entries;
}

/** Whether a list or an entry has nothing in it. */
export function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  const entry = value as Json; // reason: what is no list
  return entry[others] === undefined && Object.keys(entry).length === 0;
}

function addMembers(json: Json, more: Others): void {
  for (const key of Object.keys(more)) {
    // Not by assignment: that would set the prototype where a member is called __proto__.
    const plain = { enumerable: true, configurable: true, writable: true };
    Object.defineProperty(json, key, { value: more[key], ...plain });
  }
}
