import { expect, test } from 'vitest';
import { hasRested, parseResting, restingLine } from './resting.ts';

test('lines are read as they were written; damaged and blank ones are passed over', () => {
  const one = { name: '10.0.0.5', since: 1_764_500_000 };
  const other = { name: 'fd00::5', since: 1_764_500_001 };
  const text = `${restingLine(one)}\n             \n10.0.0.6\n10.0.0.7 x\n 5\n10.0.0.8 -1\n${restingLine(other)}10.0.0.9 17645`;
  expect(parseResting(text)).toEqual([one, other, { name: '10.0.0.9', since: 17_645 }]);
});

test('an address rests for the time, and no longer where the clock went back', () => {
  expect(hasRested(100, 60, 159)).toBe(false);
  expect(hasRested(100, 60, 160)).toBe(true);
  expect(hasRested(100, 60, 99)).toBe(true);
  expect(hasRested(100, 0, 100)).toBe(true);
});
