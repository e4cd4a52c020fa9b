import { readConfig } from '@cni-ts/skeleton/config';
import { readByShape, type Shape } from '@cni-ts/skeleton/config-shape';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { namedSchemas, shapeOf } from './config-shapes.ts';

const schemas = await namedSchemas();

/** Values that a shape accepts, and now and then one that it does not: something else, null, a key spelled otherwise. */
function values(shape: Shape, strange: boolean): fc.Arbitrary<unknown> {
  const odd = fc.oneof(fc.constant(null), fc.jsonValue({ maxDepth: 1 }));
  const good = right(shape, strange);
  return strange ? fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: odd }) : good;
}

function right(shape: Shape, strange: boolean): fc.Arbitrary<unknown> {
  // A good name is no spelling of any that schemas have.
  const name = strange ? fc.string() : fc.stringMatching(/^x-[a-z]{0,3}$/);
  if (shape === 'string') return fc.string();
  if (shape === 'boolean') return fc.boolean();
  if (typeof shape === 'string')
    return strange ? fc.jsonValue({ maxDepth: 1 }) : fc.constant({ a: [1, null] });
  if ('number' in shape) {
    const [min, max] = shape.number;
    return strange
      ? fc.oneof(fc.integer(), fc.double())
      : fc.maxSafeInteger().filter((n) => n >= min && n <= max);
  }
  if ('bigint' in shape) {
    const [min, max] = shape.bigint;
    return strange ? fc.oneof(fc.bigInt({ min, max }), fc.bigInt()) : fc.bigInt({ min, max });
  }
  if ('list' in shape) return fc.array(values(shape.list, strange), { maxLength: 3 });
  if ('record' in shape) return fc.dictionary(name, values(shape.record, strange), { maxKeys: 3 });
  const members = Object.entries(shape.object).map(([key, one]) => {
    const spelling = strange
      ? fc.oneof({ weight: 20, arbitrary: fc.constant(key) }, fc.constant(swapCase(key)))
      : fc.constant(key);
    const member = fc.tuple(spelling, values(one, strange));
    const needed = shape.required.includes(key) && !strange;
    return needed ? member : fc.option(member, { nil: undefined, freq: 2 });
  });
  const unknown = fc.option(fc.tuple(name, fc.jsonValue({ maxDepth: 1 })), { nil: undefined });
  return fc
    .tuple(unknown, ...members)
    .map((all) => Object.fromEntries(all.filter((one) => one !== undefined)));
}

function swapCase(text: string): string {
  return text.toUpperCase() === text ? text.toLowerCase() : text.toUpperCase();
}

/** For JSON.stringify, which knows no bigint. */
function numbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

describe.each(schemas)('$name', ({ schema }) => {
  const shape = shapeOf(schema());

  test('whatever its shape reads, the schema reads the same', () => {
    let read = 0;
    fc.assert(
      fc.property(values(shape, true), (json) => {
        const quick = readByShape(shape, json);
        if (quick === undefined) return;
        read++;
        expect(quick).toEqual(readConfig(schema(), json));
      }),
      { numRuns: 400 },
    );
    expect(read, 'the shape read none of the values').toBeGreaterThan(5);
  });

  test.skipIf(JSON.stringify(shape, numbers).includes('"zod"'))(
    'what is as it should be is read by the shape',
    () => {
      fc.assert(
        fc.property(values(shape, false), (json) => {
          expect(readByShape(shape, json)).toBeDefined();
        }),
        { numRuns: 200 },
      );
    },
  );
});

test('what a shape cannot say is left to zod', () => {
  const schema = z.object({
    pattern: z.string().check(z.regex(/^a/)),
    either: z.optional(z.union([z.string(), z.int()])),
    count: z.optional(z.int().check(z.minimum(0), z.maximum(10))),
  });
  const shape = shapeOf(schema);
  expect(shape).toEqual({
    object: { pattern: 'zod', either: 'zod', count: { number: [0, 10] } },
    required: ['pattern'],
  });
  expect(readByShape(shape, { pattern: 'b' })).toBeUndefined();
  expect(readByShape(shape, { count: 3 })).toBeUndefined();
});

test.each([
  ['a missing member', { object: { a: 'string' }, required: ['a'] }, {}],
  ['null', { object: { a: 'string' }, required: [] }, { a: null }],
  ['another spelling', { object: { a: 'string' }, required: [] }, { A: 'x' }],
  ['a fraction', { number: [0, 10] }, 1.5],
  ['a number out of range', { number: [0, 10] }, 11],
  ['a list for an object', { object: {}, required: [] }, []],
  ['an item of another type', { list: 'string' }, ['a', 1]],
] as const)('%s is left to zod', (_what, shape, json) => {
  expect(readByShape(shape, json)).toBeUndefined();
});
