import { expect, test } from 'vitest';
import { asBytes, mutated } from './mutations.ts';
import { networks } from './networks.ts';
import { randomOf } from './random.ts';

const made = (seed: number, index: number) => {
  const random = randomOf(seed, 'mutated', index);
  return Buffer.from(asBytes(random, mutated(random, random.pick(networks).config))).toString('latin1');
};

test('the same seed and number make the same configuration, others make others', () => {
  const all = Array.from({ length: 300 }, (_, index) => made(1, index));
  expect(Array.from({ length: 300 }, (_, index) => made(1, index))).toEqual(all);
  expect(new Set(all).size).toBeGreaterThan(250);
  expect(Array.from({ length: 300 }, (_, index) => made(2, index))).not.toEqual(all);
});

test('a configuration that is mutated stays as it was', () => {
  for (const { config } of networks) {
    const before = JSON.stringify(config);
    for (let index = 0; index < 50; index++) mutated(randomOf(3, 'mutated', index), config);
    expect(JSON.stringify(config)).toBe(before);
  }
});

test('an input fits into a pipe, so that it can be given before its reader runs', () => {
  for (let index = 0; index < 2000; index++) expect(made(4, index).length).toBeLessThan(65536);
});
