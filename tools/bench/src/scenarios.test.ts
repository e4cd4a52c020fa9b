import { expect, test } from 'vitest';
import { chosen, scenarios } from './scenarios.ts';

const names = (asked: string[]) => chosen(asked).map(({ name }) => name);

test('every scenario has a name of its own and a title of its own', () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
  expect(new Set(scenarios.map(({ title }) => title)).size).toBe(scenarios.length);
});

test('a name that is one chooses that one, else all that begin so', () => {
  expect(names(['bridge'])).toEqual(['bridge']);
  expect(names(['host-local'])).toEqual([
    ...['host-local-100', 'host-local-1000', 'host-local-10000', 'host-local-60000'],
  ]);
  expect(names([])).toHaveLength(scenarios.length);
});

test('an unknown name is refused and the known ones are told', () => {
  expect(() => chosen(['brigde'])).toThrow(/no scenario is called brigde: there are version, bridge/);
});
