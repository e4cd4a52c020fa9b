import { expect, test } from 'vitest';
import { type Option, readCommandLine } from './command-line.ts';

const name: Option = { name: 'name', short: '-n', value: 'text', about: '' };
const flag: Option = { name: 'flag', short: '-f', about: '' };
const many: Option = { name: 'many', value: 'item', many: true, about: '' };

/** `many` is an option of the command `c` alone. */
const read = (line: string) => {
  const { words, options, problem } = readCommandLine(line.split(' '), (command) =>
    command === 'c' ? [many, name, flag] : [name, flag],
  );
  return { words: words.join(' '), options: Object.fromEntries(options), problem };
};

test.each([
  ['c a b', 'c a b', {}],
  ['-n x c a', 'c a', { name: ['x'] }],
  ['c -nx a', 'c a', { name: ['x'] }],
  ['c --name x a', 'c a', { name: ['x'] }],
  ['c --name=x=y a', 'c a', { name: ['x=y'] }],
  ['c --name= a', 'c a', { name: [''] }],
  ['c --name --flag', 'c', { name: ['--flag'] }],
  ['c -n x -n y', 'c', { name: ['x', 'y'] }],
  ['c --flag a', 'c a', { flag: [''] }],
  ['c a -- --flag -x', 'c a --flag -x', {}],
  ['c - a', 'c - a', {}],
  ['c --many a b --flag d --many e', 'c d', { many: ['a', 'b', 'e'], flag: [''] }],
  ['c --many=a b', 'c b', { many: ['a'] }],
  ['c --many a -- b', 'c b', { many: ['a'] }],
])('%s', (line, words, options) => {
  expect(read(line)).toEqual({ words, options, problem: undefined });
});

test.each([
  ['c -x', "unknown option '-x'"],
  ['c --nam x', "unknown option '--nam'"],
  ['c --flag=1', "unknown option '--flag=1'"],
  ['c -fn', "unknown option '-fn'"],
  ['d --many a', "unknown option '--many'"],
  ['--many a c', "unknown option '--many'"],
  ['c --name', "option '-n, --name <text>' argument missing"],
  ['c --many', "option '--many <item...>' argument missing"],
  ['c -x --name', "unknown option '-x'"],
])('%s is wrong', (line, problem) => {
  expect(read(line).problem).toBe(problem);
});

test('what comes after a mistake is read all the same', () => {
  expect(read('c -x a --flag')).toMatchObject({ words: 'c a', options: { flag: [''] } });
});
