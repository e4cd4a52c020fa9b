import { parseIp } from '@cni-ts/address/ip';
import { type Block, blockOf, blockText } from '@cni-ts/cluster/block';
import { describe, expect, test } from 'vitest';
import { chooseBlock, lengthIn, numbered, usableIn } from './choose-block.ts';

const block = (text: string): Block => {
  const [first = '', length] = text.split('/');
  return blockOf(parseIp(first)!, Number(length));
};
const range = (start: string, end: string, subnet: string, exclude: string[] = []) =>
  numbered({ start, end, subnet, exclude });
const wish = { nodes: 1, largest: { 4: 8, 6: 48 } };
const small = range('10.0.0.1', '10.0.0.14', '10.0.0.0/28');

describe('the block that is chosen', () => {
  test('is of the range, and meets none that is taken', () => {
    const taken = ['10.0.0.0/30', '10.0.0.8/29'].map(block);
    for (let i = 0; i < 20; i++) {
      const found = chooseBlock({ ...wish, ranges: [small], blockLength: 30 }, taken);
      expect(found && blockText(found)).toBe('10.0.0.4/30');
    }
  });

  test('is by chance, so that two nodes seldom want the same', () => {
    const wide = range('10.0.0.1', '10.0.255.254', '10.0.0.0/16');
    const found = new Set(
      Array.from({ length: 50 }, () =>
        blockText(chooseBlock({ ...wish, ranges: [wide], blockLength: 26 }, [])!),
      ),
    );
    expect(found.size).toBeGreaterThan(35);
  });

  test('is a smaller one where no whole one is left', () => {
    const pins = ['10.0.0.1/32', '10.0.0.5/32', '10.0.0.9/32', '10.0.0.13/32'].map(block);
    const found = chooseBlock({ ...wish, ranges: [small], blockLength: 30 }, pins);
    expect(found?.length).toBe(31);
    expect(chooseBlock({ ...wish, ranges: [small], blockLength: 30 }, [block('10.0.0.0/28')])).toBe(
      undefined,
    );
  });

  test('is none that is excluded whole, nor one without an address of the range', () => {
    const half = range('10.0.0.1', '10.0.0.7', '10.0.0.0/28', ['10.0.0.4/30']);
    for (let i = 0; i < 20; i++) {
      expect(blockText(chooseBlock({ ...wish, ranges: [half], blockLength: 30 }, [])!)).toBe('10.0.0.0/30');
    }
  });

  test('is found by draws in a range of IPv6 that nobody could list', () => {
    const wide = range('fd00::1', 'fd00::ffff:ffff:ffff:ffff', 'fd00::/64');
    expect(chooseBlock({ ...wish, ranges: [wide] }, [])?.length).toBe(122);
  });

  test('is of the next range where the first has none left', () => {
    const next = range('10.0.1.1', '10.0.1.14', '10.0.1.0/28');
    const found = chooseBlock({ ...wish, ranges: [small, next], blockLength: 30 }, [block('10.0.0.0/28')]);
    expect(blockText(found!)).toMatch(/^10\.0\.1\./);
  });
});

test('a block is as long as is asked for, else an eighth of a node’s part; never larger than subnet and grid', () => {
  const wide = range('10.0.0.1', '10.0.255.254', '10.0.0.0/16');
  expect(lengthIn(wide, wish)).toBe(26);
  expect(lengthIn(wide, { ...wish, nodes: 1000 })).toBe(29);
  expect(lengthIn(small, wish)).toBe(32);
  expect(lengthIn(small, { ...wish, blockLength: 24 })).toBe(28);
  expect(lengthIn(wide, { ...wish, blockLength: 4, largest: { 4: 20, 6: 48 } })).toBe(20);
});

test('what may be given of a block leaves out what is excluded, once', () => {
  const some = range('10.0.0.1', '10.0.0.14', '10.0.0.0/28', ['10.0.0.4/30', '10.0.0.4/31', '10.0.0.12']);
  expect(usableIn(block('10.0.0.0/28'), [some])).toBe(9n);
  expect(usableIn(block('10.0.0.4/30'), [some])).toBe(0n);
  expect(usableIn(block('10.0.1.0/30'), [some])).toBe(0n);
});

test('what is no range is a sentence', () => {
  expect(() => range('10.0.0.9', '10.0.0.1', '10.0.0.0/24')).toThrow('ends before it begins');
  expect(() => range('10.0.0.1', 'fd00::1', '10.0.0.0/24')).toThrow('is none');
  expect(() => range('10.0.0.1', '10.0.0.2', '10.0.0.0/24', ['x'])).toThrow('exclusion "x"');
});
