import { exactIntegers } from '@cni-ts/spec/whole-numbers';
import { describe, expect, test } from 'vitest';
import { parse, schema } from './config.ts';
import { bucketDifferences, tokenBucket } from './rate-limit.ts';

describe('numbers', () => {
  test('written in digits are exact, others are as they were', () => {
    expect(
      exactIntegers('{"a":18446744073709551615,"b":[-1,1.5,1e3,9007199254740993],"c":"8","d":null}'),
    ).toEqual({ a: 18446744073709551615n, b: [-1n, 1.5, 1000, 9007199254740993n], c: '8', d: null });
  });

  test('parse to limits without loss', () => {
    const raw = schema().parse(exactIntegers('{"egressRate":9007199254740993,"egressBurst":80}'));
    expect(parse(raw)).toEqual({ ingress: undefined, egress: { rate: 9007199254740993n, burst: 80n } });
  });
});

/** Rate and burst in bits; buffer and limit as the reference computes them. */
test.each([
  [8n, 8n, 1n, 15_625_000, 1],
  [16n, 8n, 2n, 7_812_500, 1],
  [8000n, 80n, 1000n, 156_250, 35],
  [16_000_000n, 8_000_000n, 2_000_000n, 7_812_500, 1_050_000],
  [1_000_000n, 2_147_483_647n, 125_000n, 3_489_660_803, 268_438_580],
  [80_000_000_000n, 34_359_738_359n, 10_000_000_000n, 6_710_875, 249_999_998],
])('%i bits per second with a burst of %i', (rate, burst, bytes, buffer, limit) => {
  expect(tokenBucket({ rate, burst })).toMatchObject({ rate: bytes, buffer, limit });
});

describe('a burst', () => {
  test('that lasts longer than 32 bits of ticks can tell is told in bytes', () => {
    expect(tokenBucket({ rate: 1_000_000n, burst: 2_147_483_647n }).burst).toBe(268_435_455);
    expect(tokenBucket({ rate: 100_000_000n, burst: 2_147_483_647n }).burst).toBeUndefined();
  });

  test('that lasts so long that the kernel would shut packets out is told in bytes', () => {
    expect(tokenBucket({ rate: 800n, burst: 80_000n }).burst).toBe(10_000);
    expect(tokenBucket({ rate: 80_000n, burst: 80_000n }).burst).toBeUndefined();
  });

  test('that is over within a microsecond is told in bytes', () => {
    expect(tokenBucket({ rate: 100_000_000_000n, burst: 12_000n })).toMatchObject({ burst: 1500, buffer: 1 });
  });

  test.each([
    [7n, 80n],
    [8n, 7n],
    [2n ** 64n - 1n, 8n],
  ])('of nothing is refused: %i, %i', (rate, burst) => {
    expect(() => tokenBucket({ rate, burst })).toThrow(/^create qdisc: invalid argument$/);
  });
});

test('a limit that wraps to less than a packet is what the reference expects, with a queue that takes packets', () => {
  const burst = (2n ** 32n - 2n) * 8n;
  expect(tokenBucket({ rate: 8n, burst })).toMatchObject({ limit: 2 ** 32 - 2 });
  expect(tokenBucket({ rate: 8n, burst }).queue).toBeUndefined();
  expect(tokenBucket({ rate: 8000n, burst })).toMatchObject({ limit: 23, queue: 2 ** 32 - 1 });
  expect(tokenBucket({ rate: 10_000_000n, burst })).toMatchObject({ limit: 31_248, queue: 2 ** 32 - 1 });
  expect(tokenBucket({ rate: 80_000_000n, burst })).toMatchObject({ limit: 249_998 });
  expect(tokenBucket({ rate: 80_000_000n, burst }).queue).toBeUndefined();
});

test('the limit of an earlier release, which was the largest there is, is no drift', () => {
  const limit = { rate: 10_000_000n, burst: (2n ** 32n - 2n) * 8n };
  const { queue: _, ...bucket } = tokenBucket(limit);
  expect(bucketDifferences('v0', limit, bucket)).toEqual([]);
  expect(bucketDifferences('v0', limit, { ...bucket, limit: 2 ** 32 - 1 })).toEqual([]);
  expect(bucketDifferences('v0', limit, { ...bucket, limit: 2 ** 31 })).toMatchObject([
    { text: "Limit doesn't match" },
  ]);
});

test("of a burst of many minutes the kernel tells the reference's number, and as much is left of it as can be", () => {
  let [all, whole] = [0, 0];
  for (const mbit of [1n, 2n, 5n, 8n, 10n, 16n, 20n, 25n, 40n, 50n, 80n, 100n]) {
    for (const burst of [2n ** 31n - 1n, 2n ** 32n - 1n, 34_359_738_359n]) {
      const rate = mbit * 1_000_000n;
      const bucket = tokenBucket({ rate, burst });
      const microseconds = Math.trunc((Number(burst / 8n) * 1e6) / Number(rate / 8n));
      expect(bucket.buffer).toBe(((microseconds >>> 0) * 15.625) >>> 0);
      expect(bucket.buffer * 64, 'a second at least').toBeGreaterThan(1e9);
      if (microseconds * 15.625 < 2 ** 32) continue;
      all++;
      if (bucket.burst === undefined) continue;
      whole++;
      // Two microseconds, and a few bytes.
      expect(Math.abs(bucket.burst - Number(burst / 8n))).toBeLessThanOrEqual(16 + Number(rate) / 4e6);
    }
  }
  expect([all, whole]).toEqual([20, 11]);
});

test('a burst whose time wraps to next to nothing is told in bytes whatever the reference expects', () => {
  // 274.88 seconds are 2 ** 32 ticks; this is a little more, at a rate whose bytes last 7.7 ticks.
  const rate = 16_213_384n;
  const bytes = (rate / 8n) * 275n;
  const microseconds = Math.trunc((Number(bytes) * 1e6) / Number(rate / 8n));
  expect(((microseconds * 15.625) >>> 0) * 64).toBeLessThan(1e9);
  expect(tokenBucket({ rate, burst: bytes * 8n }).burst).toBeGreaterThan(Number(bytes) - 20);
});

describe('what the kernel tells of a bucket', () => {
  const limit = { rate: 3_000_000n, burst: 2_147_483_647n };
  const wanted = tokenBucket(limit);
  const told = (buffer: number) => bucketDifferences('v0', limit, { ...wanted, buffer });

  test('may differ by the rounding of its quotient, and by no more', () => {
    expect(told(wanted.buffer + 3)).toEqual([]);
    expect(told(wanted.buffer + 20)).toMatchObject([{ text: "Buffer doesn't match" }]);
  });

  test("may be what the reference's arithmetic wraps to", () => {
    const microseconds = Math.trunc((268_435_455 * 1e6) / 375_000);
    expect(told((microseconds * 15.625) >>> 0)).toEqual([]);
  });

  test('must be exact where it has room', () => {
    const small = { rate: 8000n, burst: 80n };
    const bucket = tokenBucket(small);
    expect(bucketDifferences('v0', small, bucket)).toEqual([]);
    expect(bucketDifferences('v0', small, { ...bucket, buffer: bucket.buffer + 1 })).toHaveLength(1);
  });
});
