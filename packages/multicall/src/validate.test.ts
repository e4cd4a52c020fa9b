/** What `cnitool validate` says with the plugins of this program: it knows them by the registry, so here is where both meet. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Source } from '@cni-ts/cli/validate/source';
import { type Surroundings, validate } from '@cni-ts/cli/validate/validate';
import { describe, expect, test } from 'vitest';
import { findPlugin } from './called-as.ts';
import { randomFrom, spoilt, valid } from './validate-mutations.ts';

const anywhere: Surroundings = {
  plugin: findPlugin,
  links: 'is not looked at',
  programs: 'is not looked at',
  isFolder: true,
  hasPluginsBeside: () => false,
};
const check = (texts: readonly string[], around = anywhere) =>
  validate(
    texts.map((text, i) => new Source(`${i}.conflist`, text)),
    around,
  );
const bad = async (...texts: string[]) => {
  const { findings } = await check(texts);
  return findings.filter(({ level }) => level !== 'note');
};

test.each(valid.map((json) => [json.name, json]))('%s is fine', async (_, json) => {
  expect(await bad(JSON.stringify(json))).toEqual([]);
});

const plugins = join(import.meta.dirname, '../../plugins');
const examples = globSync('*/*/examples/*.conflist', { cwd: plugins }).sort();
const textOf = (file: string) => readFileSync(join(plugins, file), 'utf8');

test.each(examples)('no false alarm on %s', async (file) => {
  const source = new Source(file, textOf(file));
  expect((await validate([source], anywhere)).findings).toEqual([]);
});

describe('500 mutations of valid configurations', async () => {
  const random = randomFrom(20260);
  const from = [...valid, ...examples.map((file) => JSON.parse(textOf(file)))];
  const missed: string[] = [];
  const unplaced: string[] = [];
  for (let i = 0; i < 500; i++) {
    const { kind, texts, names } = spoilt(random, i, from);
    const found = await bad(...texts);
    if (found.length === 0) missed.push(`${i}: ${kind}`);
    else if (
      !found.some(
        (one) => one.line > 0 && names.some((name) => `${one.pointer} ${one.message}`.includes(name)),
      )
    ) {
      unplaced.push(
        `${i}: ${kind}: ${JSON.stringify(found.map(({ pointer, message }) => [pointer, message]))}`,
      );
    }
  }
  test('at least 98 % are found', () => {
    expect(missed.length, missed.join('\n')).toBeLessThanOrEqual(10);
  });
  test('and their place and key are named', () => {
    expect(missed.length + unplaced.length, [...missed, ...unplaced].join('\n')).toBeLessThanOrEqual(10);
  });
});
