import { expect, test } from 'vitest';
import { byBytes } from './byte-order.ts';

test('names are sorted as their bytes are', () => {
  const names = ['\u{1f600}', 'b', '', 'ﬀ', '\u{1f600}b', 'ab', '\u{10000}', 'é', 'a', '\u{1f600}a', 'z'];
  const bytes = (name: string) => Buffer.from(name);
  expect(names.toSorted(byBytes)).toEqual(names.toSorted((a, b) => Buffer.compare(bytes(a), bytes(b))));
  expect(byBytes('\u{10000}', '\u{10000}')).toBe(0);
});
