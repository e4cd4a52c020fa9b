/** What every row of the table of commands keeps, for help, completion and the page of the manual are made of it. */
import { expect, test } from 'vitest';
import { readCommandLine } from './command-line.ts';
import { commonOptions } from './common-options.ts';
import { verbs } from './verbs.ts';

const shown = Object.entries(verbs).filter(([, { hidden }]) => hidden !== true);

test.each(shown)('%s has an example, and each one is a call that the tool would take', (name, verb) => {
  const examples = verb.examples ?? [];
  expect(examples.length).toBeGreaterThan(0);
  for (const { call, about } of examples) {
    expect(about).not.toMatch(/^[A-Z]|\.$/);
    // What comes before it and after it belongs to the shell.
    const [, line = ''] = /(?:^|[ (])cnitool ([^|>)]*)/.exec(call) ?? [];
    const words = line.split(' ').filter((word) => word !== '');
    const { words: given, problem } = readCommandLine(words, () => [
      ...(verb.options ?? []),
      ...commonOptions,
    ]);
    expect([call, given[0], problem]).toEqual([call, name, undefined]);
    const least = verb.least ?? verb.needs.length;
    expect([call, given.length - 1 >= least]).toEqual([call, true]);
    if (verb.takes === undefined) expect([call, given.length - 1 <= verb.needs.length]).toEqual([call, true]);
  }
});

test.each(shown)('%s says in one sentence what it does', (_, { about }) => {
  expect(about).toMatch(/^[A-Z]/);
  expect(about).not.toMatch(/\.$/);
});
