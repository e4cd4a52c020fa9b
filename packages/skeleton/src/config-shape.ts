/**
 * Configurations that are as they should be, read without zod. The schemas stay what they are, zod's; the build
 * (tools/bundle) writes down what each accepts as a Shape, and the multi-call program reads by that. Whatever a shape
 * does not accept at first sight (another spelling of a key, null, something wrong) is left to zod, which knows the
 * rest and says what is wrong. Loading zod and building a schema takes a third of what all else in a plugin does.
 */
export type Shape =
  | 'string'
  | 'boolean'
  | 'unknown'
  /** Only zod knows: read by it whenever there is such a value. */
  | 'zod'
  | { readonly number: readonly [min: number, max: number] }
  | { readonly bigint: readonly [min: bigint, max: bigint] }
  | { readonly list: Shape }
  | { readonly record: Shape }
  | { readonly object: Readonly<Record<string, Shape>>; readonly required: readonly string[] };

/** What `schema` would make of the value; undefined when it takes zod to tell. */
export function readByShape(shape: Shape, value: unknown): unknown {
  if (typeof shape === 'string') {
    return shape === 'unknown' || typeof value === shape ? (value ?? undefined) : undefined;
  }
  if ('number' in shape) {
    const [min, max] = shape.number;
    return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
  }
  if ('bigint' in shape) {
    const [min, max] = shape.bigint;
    return typeof value === 'bigint' && value >= min && value <= max ? value : undefined;
  }
  if ('list' in shape) return Array.isArray(value) ? listOf(shape.list, value) : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const json = value as Readonly<Record<string, unknown>>; // reason: it is an object, and no list
  return 'record' in shape ? recordOf(shape.record, json) : objectOf(shape, json);
}

function listOf(shape: Shape, list: readonly unknown[]): unknown[] | undefined {
  const read: unknown[] = [];
  for (let i = 0; i < list.length; i++) {
    const one = readByShape(shape, list[i]);
    if (one === undefined) return undefined;
    read.push(one);
  }
  return read;
}

function recordOf(
  shape: Shape,
  json: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const read: Record<string, unknown> = {};
  const keys = Object.keys(json);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (json[key] === undefined) continue; // what was put together and not parsed may have such
    const one = readByShape(shape, json[key]);
    // A key of that name would not become a member.
    if (one === undefined || key === '__proto__') return undefined;
    read[key] = one;
  }
  return read;
}

/** Keys that the shape does not have are passed over, unless they are another spelling of one that it has. */
function objectOf(
  { object, required }: Extract<Shape, { object: unknown }>,
  json: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const read: Record<string, unknown> = {};
  const keys = Object.keys(json);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const shape = Object.hasOwn(object, key) ? object[key] : undefined;
    if (shape !== undefined) {
      const one = readByShape(shape, json[key]);
      if (one === undefined) return undefined;
      read[key] = one;
    } else if (isOtherSpelling(key, object)) return undefined;
  }
  for (let i = 0; i < required.length; i++) if (!(required[i]! in read)) return undefined;
  return read;
}

function isOtherSpelling(key: string, object: Readonly<Record<string, Shape>>): boolean {
  const lower = key.toLowerCase();
  for (const known in object) {
    // Ours are ASCII, whose other spellings are as long.
    if (known.length === key.length && known.toLowerCase() === lower) return true;
  }
  return false;
}
