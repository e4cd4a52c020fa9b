import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holdsBytes, sameBytes } from './bytes.ts';

/** Few values, so that parts are found and nearly found. */
const bytes = fc.uint8Array({ max: 2, maxLength: 12 });

test('bytes are the same, and hold others, as Buffer says', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(sameBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      expect(holdsBytes(a, b)).toBe(Buffer.from(a).includes(b));
    }),
    { numRuns: 1000 },
  );
});
