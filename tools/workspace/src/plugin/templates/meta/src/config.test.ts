import { expect, test } from 'vitest';
import { parse, schema } from './config.ts';

const read = (json: object) => parse(schema().parse(json));

test('the port is 80 where none is given (__name__ 1)', () => {
  expect([read({}).port, read({ port: 25 }).port]).toEqual([80, 25]);
});

test('a port that there is not is refused (__name__ 2)', () => {
  for (const port of [0, 65536, 1.5]) expect(() => read({ port })).toThrow();
});
