import { join } from 'node:path';
import { anyPlugin } from '@cni-ts/libcni/plugin-config';
import type { Shape } from '@cni-ts/skeleton/config-shape';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Plugin as EsbuildPlugin } from 'esbuild';
import type * as z from 'zod/mini';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

/** What is asked of a zod schema's definition; every kind has a few of these. */
interface Anatomy {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly innerType?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly keyType?: z.core.$ZodType;
  readonly catchall?: z.core.$ZodType;
  readonly format?: string;
  readonly checks?: readonly { readonly _zod: { readonly def: Check } }[];
}

interface Check {
  readonly check: string;
  readonly value?: number | bigint;
  readonly inclusive?: boolean;
}

function anatomy(schema: z.core.$ZodType): Anatomy {
  // reason: zod types the definition by kind; each member is looked at before it is used
  return schema._zod.def as unknown as Anatomy;
}

/** What a schema accepts, as far as a shape can say it; 'zod' where it cannot. */
export function shapeOf(schema: z.core.$ZodType): Shape {
  const def = anatomy(schema);
  switch (def.type) {
    case 'optional':
    case 'nullable':
      // Null is always left to zod.
      return def.innerType ? shapeOf(def.innerType) : 'zod';
    case 'string':
    case 'boolean':
      return def.checks?.length ? 'zod' : def.type;
    case 'unknown':
      return 'unknown';
    case 'number': {
      if (def.format !== 'safeint') return 'zod';
      const range = bounds(def, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      return range ? { number: range } : 'zod';
    }
    case 'bigint': {
      const range = bounds(def, -(2n ** 64n), 2n ** 64n);
      return range && def.checks?.length === 2 ? { bigint: range } : 'zod';
    }
    case 'array':
      return def.element && !def.checks?.length ? { list: shapeOf(def.element) } : 'zod';
    case 'record': {
      const plainKeys = def.keyType && shapeOf(def.keyType) === 'string';
      return def.valueType && plainKeys && !def.checks?.length ? { record: shapeOf(def.valueType) } : 'zod';
    }
    case 'object':
      return def.shape && !def.catchall && !def.checks?.length ? objectShape(def.shape) : 'zod';
    default:
      return 'zod';
  }
}

function objectShape(members: Readonly<Record<string, z.core.$ZodType>>): Shape {
  const entries = Object.entries(members);
  return {
    object: Object.fromEntries(entries.map(([key, schema]) => [key, shapeOf(schema)])),
    required: entries.filter(([, schema]) => anatomy(schema).type !== 'optional').map(([key]) => key),
  };
}

/** The range that checks leave; undefined when one of them is about something else. */
function bounds<T extends number | bigint>(def: Anatomy, least: T, most: T): [T, T] | undefined {
  const range: [T, T] = [least, most];
  for (const { _zod } of def.checks ?? []) {
    const { check, value, inclusive } = _zod.def;
    if (check === 'number_format') continue;
    // reason: a bound has the type of what it bounds
    if (check === 'greater_than' && inclusive && typeof value === typeof least) range[0] = value as T;
    else if (check === 'less_than' && inclusive && typeof value === typeof most) range[1] = value as T;
    else return undefined;
  }
  return range;
}

/** Source text of a shape. */
function textOf(shape: Shape): string {
  if (typeof shape === 'string') return JSON.stringify(shape);
  const members = Object.entries(shape).map(([key, value]) => {
    if (key === 'bigint') return `bigint: [${(value as bigint[]).map((one) => `${one}n`).join(', ')}]`; // reason: by its key
    if (key === 'list' || key === 'record') return `${key}: ${textOf(value as Shape)}`; // reason: by its key
    if (key !== 'object') return `${key}: ${JSON.stringify(value)}`;
    const inner = Object.entries(value as Record<string, Shape>); // reason: by its key
    return `object: { ${inner.map(([name, one]) => `${JSON.stringify(name)}: ${textOf(one)}`).join(', ')} }`;
  });
  return `{ ${members.join(', ')} }`;
}

/** Every plugin of the workspace, loaded from source. */
async function loadPlugins(root: string = workspaceRoot): Promise<Plugin[]> {
  const loaded = pluginFolders(root)
    .filter(hasSource)
    .map(async ({ folder, name, exportName }): Promise<Plugin> => {
      const module: Record<string, Plugin> = await import(join(folder, 'src', `${name}.ts`));
      const plugin = module[exportName];
      if (!plugin) throw new Error(`${folder}/src/${name}.ts exports no ${exportName}`);
      return plugin;
    });
  return Promise.all(loaded);
}

/** A schema and the name it is read under. */
export interface NamedSchema {
  readonly name: string;
  readonly schema: () => z.core.$ZodType;
}

/** Every schema that is compiled: the plugins', and the one that the runtime library reads all of them by. */
export async function namedSchemas(root: string = workspaceRoot): Promise<NamedSchema[]> {
  const plugins = await loadPlugins(root);
  return [anyPlugin, ...plugins.flatMap(({ type, schema }) => (schema ? [{ name: type, schema }] : []))];
}

/** For esbuild: compiled-shapes.ts with the shapes of these schemas. */
export function compiledShapes(schemas: readonly NamedSchema[]): EsbuildPlugin {
  return {
    name: 'compiled-shapes',
    setup(build) {
      build.onLoad({ filter: /[/\\]skeleton[/\\]src[/\\]compiled-shapes\.ts$/ }, () => {
        const lines = schemas.map(
          ({ name, schema }) => `  ${JSON.stringify(name)}: ${textOf(shapeOf(schema()))},\n`,
        );
        return { contents: `export const compiledShapes = {\n${lines.join('')}};\n`, loader: 'js' };
      });
    },
  };
}
