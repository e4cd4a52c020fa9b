/** The part of a zod schema that tells its fields; the same in all zod 4 schemas. */
interface Schema {
  readonly _zod?: { readonly def: Def };
}
interface Def {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly innerType?: Schema;
  readonly element?: Schema;
  readonly in?: Schema;
  readonly options?: readonly Schema[];
}

/** What every network configuration has. A plugin's README tells of it only where the plugin does something with it. */
const common = new Set(
  'cniVersion name type capabilities ipam dns prevResult runtimeConfig args cni nameservers domain search options'.split(
    ' ',
  ),
);

/** Names of all fields a plugin's schema models, at any depth, without those of every network configuration. */
export function configFields(schema: unknown): string[] {
  const found = new Set<string>();
  // Any value may come in; `walk` looks only at members that are there.
  walk(schema as Schema, found);
  return [...found].filter((name) => !common.has(name)).sort();
}

function walk(schema: Schema | undefined, found: Set<string>): void {
  const def = schema?._zod?.def;
  if (!def) return;
  for (const [name, field] of Object.entries(def.shape ?? {})) {
    found.add(name);
    walk(field, found);
  }
  for (const inner of [def.innerType, def.element, def.in, ...(def.options ?? [])]) walk(inner, found);
}
