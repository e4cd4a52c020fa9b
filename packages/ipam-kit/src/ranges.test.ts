import { parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { describe as describeSet, type RangeSet, rangeOf, rangeSets, sizeOf, walk } from './ranges.ts';

const ip = (n: number) => parseIp(`10.0.${n >> 8}.${n & 255}`)!;
const number = (text: string) =>
  text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0) - 0x0a000000;
/** The texts of the first addresses tried. */
function tried(set: RangeSet, last: Ip | undefined, atMost = Number.POSITIVE_INFINITY): string[] {
  const texts: string[] = [];
  walk(set, last, (candidate) => {
    texts.push(formatIp(candidate.ip));
    return texts.length === atMost;
  });
  return texts;
}
const walked = (set: RangeSet, last?: number) =>
  tried(set, last === undefined ? undefined : ip(last)).map(number);

/** One set of ranges in 10.0.0.0/20 that share nothing, each with a gateway inside or outside. */
const anySet = fc
  .uniqueArray(fc.integer({ min: 1, max: 4000 }), { minLength: 2, maxLength: 10 })
  .chain((numbers) => {
    const bounds = numbers.sort((a, b) => a - b).slice(0, numbers.length - (numbers.length % 2));
    const spans = bounds.flatMap((start, i) => (i % 2 === 0 ? [[start, bounds[i + 1]!] as const] : []));
    return fc.record({
      spans: fc.shuffledSubarray(spans, { minLength: 1 }),
      gateways: fc.array(fc.integer({ min: 0, max: 4095 }), { minLength: 5, maxLength: 5 }),
      last: fc.option(fc.integer({ min: 0, max: 4095 }), { nil: undefined }),
    });
  })
  .map(({ spans, gateways, last }) => {
    const texts = spans.map(([start, end], i) => ({
      subnet: parseCidr('10.0.0.0/20'),
      rangeStart: ip(start),
      rangeEnd: ip(end),
      gateway: ip(gateways[i]!),
    }));
    return { spans, gateways, last, set: rangeSets([texts], '1.0.0')[0]! };
  });

test('a walk visits every address but the gateways once, upwards from the cursor and round to it', () => {
  fc.assert(
    fc.property(anySet, ({ spans, gateways, last, set }) => {
      const all = spans.flatMap(([start, end], i) => {
        const span = Array.from({ length: end - start + 1 }, (_, n) => start + n);
        return span.map((n) => ({ n, gateway: n === gateways[i] }));
      });
      const at = all.findIndex(({ n }) => n === last);
      const turned = [...all.slice(at + 1), ...all.slice(0, at + 1)];
      const expected = turned.filter(({ gateway }) => !gateway).map(({ n }) => n);
      expect(walked(set, last)).toEqual(expected);
      expect(sizeOf(set)).toBe(BigInt(expected.length));
    }),
  );
});

test('the range an address lies in is the one whose span has it', () => {
  fc.assert(
    fc.property(anySet, fc.integer({ min: 0, max: 4095 }), ({ spans, set }, n) => {
      const index = spans.findIndex(([start, end]) => start <= n && n <= end);
      expect(rangeOf(set, ip(n))).toBe(index < 0 ? undefined : set[index]);
    }),
  );
});

test('the highest addresses of a family end a walk', () => {
  const [four] = rangeSets(
    [[{ subnet: parseCidr('255.255.255.248/29'), rangeEnd: parseIp('255.255.255.255') }]],
    '1.0.0',
  );
  const given = tried(four!, parseIp('255.255.255.254'));
  expect(given.slice(0, 2)).toEqual(['255.255.255.255', '255.255.255.250']);
  expect(given).toHaveLength(6);
  const [six] = rangeSets([[{ subnet: parseCidr('ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126') }]], '1.0.0');
  expect(tried(six!, undefined)).toHaveLength(2);
});

test('a /64 is walked lazily and counted exactly', () => {
  const [set] = rangeSets([[{ subnet: parseCidr('fd00::/64') }]], '1.0.0');
  expect(tried(set!, parseIp('fd00::ffff:ffff'), 1)).toEqual(['fd00::1:0:0']);
  expect(sizeOf(set!)).toBe(2n ** 64n - 2n);
  expect(describeSet(set!)).toBe('fd00::1-fd00::ffff:ffff:ffff:ffff');
});
