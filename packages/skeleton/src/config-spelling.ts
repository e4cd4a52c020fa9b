import * as z from 'zod/mini';

type Schema = z.core.$ZodType;
type Json = Readonly<Record<string, unknown>>;

/** What the walk may ask of a schema's definition; every kind has a few of these. */
interface Anatomy {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly items?: readonly Schema[];
  readonly valueType?: Schema;
  readonly options?: readonly Schema[];
  readonly in?: Schema;
  readonly left?: Schema;
  readonly right?: Schema;
  readonly getter?: () => Schema;
  readonly values?: readonly unknown[];
}

function anatomy(schema: Schema): Anatomy {
  // zod types the definition by kind; the walk asks for members that only some kinds have and checks each.
  return schema._zod.def as unknown as Anatomy;
}

/** The value with keys spelled as the schema spells them and nulls gone; the value itself when that is so already. */
export function fold(schema: Schema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const def = anatomy(schema);
  const inner = def.innerType ?? def.in ?? (def.type === 'lazy' ? def.getter?.() : undefined);
  if (inner) return fold(inner, value);
  if (def.options) return foldUnion(def.options, value);
  if (def.left && def.right) return fold(def.right, fold(def.left, value));
  if (Array.isArray(value)) {
    return foldItems(value, (index) => def.element ?? def.items?.[index]);
  }
  // typeof says object and it is no array: a JSON object.
  const object = value as Json;
  if (def.shape) return foldObject(def.shape, object);
  return def.valueType ? foldRecord(def.valueType, object) : value;
}

function foldObject(shape: Readonly<Record<string, Schema>>, object: Json): Json {
  const spellings = Object.keys(object).filter((key) => !Object.hasOwn(shape, key));
  let changed: Record<string, unknown> | undefined;
  if (spellings.length > 0) {
    const exact = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]));
    if (spellings.some((key) => exact.has(key.toLowerCase()))) {
      changed = {};
      for (const [key, value] of Object.entries(object)) {
        const known = Object.hasOwn(shape, key) ? key : (exact.get(key.toLowerCase()) ?? key);
        if (value !== null || known === key || !Object.hasOwn(changed, known)) changed[known] = value;
      }
    }
  }
  const source = changed ?? object;
  for (const key of Object.keys(shape)) {
    if (!Object.hasOwn(source, key)) continue;
    const value = source[key];
    const schema = shape[key]!;
    if (value === null) {
      if (takesNull(schema)) continue;
      changed ??= { ...object };
      delete changed[key];
    } else {
      const folded = fold(schema, value);
      if (folded === value) continue;
      changed ??= { ...object };
      changed[key] = folded;
    }
  }
  return changed ?? object;
}

function foldRecord(schema: Schema, object: Json): Json {
  let changed: Record<string, unknown> | undefined;
  for (const [key, value] of Object.entries(object)) {
    const drop = value === null && !takesNull(schema);
    const folded = drop ? undefined : fold(schema, value);
    if (folded === value) continue;
    changed ??= { ...object };
    if (drop) delete changed[key];
    else changed[key] = folded;
  }
  return changed ?? object;
}

function foldItems(items: readonly unknown[], schemaAt: (index: number) => Schema | undefined): unknown {
  let changed: unknown[] | undefined;
  items.forEach((item, index) => {
    const schema = schemaAt(index);
    const folded = schema ? fold(schema, item) : item;
    if (folded === item) return;
    changed ??= [...items];
    changed[index] = folded;
  });
  return changed ?? items;
}

/** The first alternative that accepts the value as that alternative spells it. */
function foldUnion(options: readonly Schema[], value: object): unknown {
  for (const option of options) {
    const folded = fold(option, value);
    if (z.safeParse(option, folded).success) return folded;
  }
  return value;
}

function takesNull(schema: Schema): boolean {
  const def = anatomy(schema);
  if (['nullable', 'unknown', 'any', 'null'].includes(def.type)) return true;
  if (def.type === 'literal') return def.values?.includes(null) ?? false;
  if (def.options) return def.options.some(takesNull);
  const inner = def.innerType ?? def.in;
  return inner ? takesNull(inner) : false;
}
