import { compareIp, equalIp, formatIp, type Ip, nextIp, parseIp } from '@cni-ts/address/ip';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addressKey,
  type Block,
  bitsOf,
  blockKey,
  blockOf,
  enclosing,
  isInside,
  lastOfBlock,
  lengthFor,
  parseBlockKey,
} from './block.ts';

/** An IPv6 address that stands for one of IPv4 is that one, to everybody here. */
const isPlain = ({ family, bytes }: Ip) =>
  family === 4 || !(bytes[10] === 255 && bytes[11] === 255 && bytes.subarray(0, 10).every((b) => b === 0));
const ip = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) =>
    fc
      .uint8Array({ minLength: family === 4 ? 4 : 16, maxLength: family === 4 ? 4 : 16 })
      .map((bytes): Ip => ({ family, bytes })),
  )
  .filter(isPlain);
const block = ip.chain((at) => fc.integer({ min: 0, max: bitsOf(at) }).map((length) => blockOf(at, length)));
const place = ({ first, length }: Block) => `${formatIp(first)}/${length}`;

describe('a block', () => {
  test('has every address from its first to its last, and none beside', () => {
    fc.assert(
      fc.property(block, (one) => {
        const last = lastOfBlock(one);
        expect(compareIp(one.first, last)).toBeLessThanOrEqual(0);
        const of = (at: Ip) => isInside(one, { first: at, length: bitsOf(at) });
        expect(of(one.first) && of(last)).toBe(true);
        const next = nextIp(last);
        expect(of(next)).toBe(one.length === 0);
        expect(place(blockOf(last, one.length))).toBe(place(one));
      }),
    );
  });

  test('is apart from another, or one lies in the other', () => {
    fc.assert(
      fc.property(block, block, (a, b) => {
        const meets =
          a.first.family === b.first.family &&
          compareIp(a.first, lastOfBlock(b)) <= 0 &&
          compareIp(b.first, lastOfBlock(a)) <= 0;
        expect(isInside(a, b) || isInside(b, a)).toBe(meets);
      }),
    );
  });

  test('is enclosed by the blocks of every shorter length, and by no other', () => {
    fc.assert(
      fc.property(block, fc.integer({ min: 0, max: 128 }), (one, largest) => {
        const around = enclosing(one, largest);
        expect(around.map(({ length }) => length)).toEqual(
          Array.from({ length: Math.max(0, one.length - largest) }, (_, i) => largest + i),
        );
        for (const outer of around) {
          expect(isInside(outer, one)).toBe(true);
          expect(isInside(one, outer)).toBe(false);
        }
      }),
    );
  });
});

describe('a key', () => {
  test('is read as the block it was written of, also beside the other family', () => {
    fc.assert(
      fc.property(
        block.filter((one) => one.first.family === 4 || isPlain(one.first)),
        (one) => {
          const read = parseBlockKey(blockKey(one));
          expect(read && place(read)).toBe(place(one));
        },
      ),
    );
  });

  test('sorts as the addresses do, within a family', () => {
    fc.assert(
      fc.property(ip, ip, (a, b) => {
        fc.pre(a.family === b.family);
        const [x, y] = [addressKey(a), addressKey(b)];
        expect(Math.sign(x < y ? -1 : x > y ? 1 : 0)).toBe(Math.sign(compareIp(a, b)));
      }),
    );
  });

  test('of a block inside another lies between that one’s first address and its last', () => {
    fc.assert(
      fc.property(block, fc.nat(128), (inner, shorter) => {
        const outer = blockOf(inner.first, Math.min(inner.length, shorter));
        const [low, high] = [addressKey(outer.first), addressKey(lastOfBlock(outer))];
        const key = addressKey(inner.first);
        expect(low <= key && key <= high).toBe(true);
      }),
    );
  });

  test.each([
    '',
    'x',
    '00000000000000000000ffff0a000041/122',
    '00000000000000000000ffff0a000040/095',
    '00000000000000000000ffff0a000040/129',
    '00000000000000000000FFFF0a000040/122',
  ])('%j is none', (text) => {
    expect(parseBlockKey(text)).toBeUndefined();
  });
});

test('a block has at most an eighth of a node’s part, and 64 addresses', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4 as const, 6 as const),
      fc.bigInt({ min: 1n, max: 2n ** 32n }),
      fc.integer({ min: 0, max: 5000 }),
      (family, addresses, nodes) => {
        const length = lengthFor({ family, addresses }, nodes);
        const size = 2n ** BigInt(bitsOf({ family }) - length);
        expect(size).toBeLessThanOrEqual(64n);
        expect(size === 1n || size * 8n * BigInt(Math.max(1, nodes)) <= addresses).toBe(true);
      },
    ),
  );
  expect(lengthFor({ family: 4, addresses: 65_536n }, 50)).toBe(26);
  expect(lengthFor({ family: 4, addresses: 256n }, 4)).toBe(29);
  expect(lengthFor({ family: 6, addresses: 2n ** 64n }, 1000)).toBe(122);
});

test('the block of an address is the same for all of its addresses', () => {
  const at = parseIp('10.0.0.77')!; // an address
  expect(place(blockOf(at, 26))).toBe('10.0.0.64/26');
  expect(equalIp(blockOf(at, 32).first, at)).toBe(true);
});
