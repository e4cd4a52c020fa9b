import { describe, expect, test } from 'vitest';
import { parse, schema } from './config.ts';
import { exactIntegers } from './exact-integers.ts';
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

test('a limit that wraps to less than a packet is the largest there is', () => {
  const burst = (2n ** 32n - 2n) * 8n;
  expect(tokenBucket({ rate: 8n, burst }).limit).toBe(2 ** 32 - 2);
  expect(tokenBucket({ rate: 8000n, burst }).limit).toBe(2 ** 32 - 1);
  expect(tokenBucket({ rate: 80_000_000n, burst }).limit).toBe(249_998);
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
