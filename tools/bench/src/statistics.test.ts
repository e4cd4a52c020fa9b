import { expect, test } from 'vitest';
import { quantile, summary } from './statistics.ts';

test('the median of an even number of values lies between the middle two', () => {
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
});

test('a quantile lies between its neighbours in proportion', () => {
  expect(quantile([0, 10, 20, 30, 40], 0.95)).toBeCloseTo(38);
  expect(quantile([7], 0.95)).toBe(7);
});

test('one slow round moves the 95th percentile, not the median', () => {
  const quiet = Array.from({ length: 20 }, () => 5);
  expect(summary([...quiet, 500])).toMatchObject({ count: 21, median: 5, least: 5, most: 500 });
  expect(summary([...quiet, 500, 500]).p95).toBeGreaterThan(400);
});

test('no values are an error, not a zero', () => {
  expect(() => summary([])).toThrow('no values were measured');
});
