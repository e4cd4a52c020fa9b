import { expect, test } from 'vitest';
import { ageText, timeText } from './clock.ts';

const now = new Date(2026, 10, 30, 9, 30).getTime();

test('a time of today is told without the day', () => {
  expect(timeText(new Date(2026, 10, 30, 9, 2).getTime(), now)).toBe('09:02');
  expect(timeText(new Date(2026, 10, 29, 23, 59).getTime(), now)).toBe('2026-11-29 23:59');
});

test.each([
  [-5, '0 s'],
  [59, '59 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [7200, '2 h'],
  [47 * 3600, '47 h'],
  [48 * 3600, '2 d'],
])('%i s are %s', (seconds, text) => {
  expect(ageText(now - seconds * 1000, now)).toBe(text);
});
