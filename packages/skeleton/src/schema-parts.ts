import type * as z from 'zod/mini';

type Schema = z.core.$ZodType;

/** What is inside of a schema, under what only wraps it; every kind has one of these. */
export interface SchemaParts {
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly element?: Schema;
  readonly valueType?: Schema;
}

/** The schema without optional, nullable and the like around it; of a union every alternative. */
export function unwrapped(schema: Schema): SchemaParts[] {
  // reason: zod types the definition by kind; each member is looked at before it is used
  const def = schema._zod.def as unknown as SchemaParts & {
    readonly type: string;
    readonly innerType?: Schema;
    readonly in?: Schema;
    readonly options?: readonly Schema[];
    readonly left?: Schema;
    readonly right?: Schema;
    readonly getter?: () => Schema;
  };
  const inner = def.innerType ?? def.in ?? (def.type === 'lazy' ? def.getter?.() : undefined);
  if (inner) return unwrapped(inner);
  if (def.options) return def.options.flatMap(unwrapped);
  if (def.left && def.right) return [...unwrapped(def.left), ...unwrapped(def.right)];
  return [def];
}
