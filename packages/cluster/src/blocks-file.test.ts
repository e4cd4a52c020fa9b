import { formatIp, type Ip } from '@cni-ts/address/ip';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockOf } from './block.ts';
import { type BlocksFile, formatBlocks, type HeldBlock, parseBlocks } from './blocks-file.ts';

const word = fc.string({ minLength: 1, maxLength: 12 });
const block = fc
  .record({
    bytes: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    length: fc.integer({ min: 0, max: 32 }),
    state: fc.constantFrom('held' as const, 'draining' as const, 'lost' as const),
    space: word,
    revision: word,
    claim: word,
    owner: fc.option(word, { nil: undefined }),
    sticky: fc.boolean(),
  })
  .map(({ bytes, length, owner, sticky, ...rest }): HeldBlock => {
    const first: Ip = { family: 4, bytes };
    return {
      ...blockOf(first, length),
      ...rest,
      ...(owner !== undefined && { owner, ...(sticky && { sticky }) }),
    };
  });
const file = fc.record({ node: word, boot: word, blocks: fc.array(block, { maxLength: 4 }) });
const plain = ({ blocks, ...rest }: BlocksFile) => ({
  ...rest,
  blocks: blocks.map(({ first, ...more }) => ({ ...more, first: formatIp(first) })),
});

test('what was written is read', () => {
  fc.assert(
    fc.property(file, (one) => {
      expect(plain(parseBlocks(formatBlocks(one), '/x'))).toEqual(plain(one));
    }),
  );
});

test('a file that was cut short is damaged, and so is any other text', () => {
  fc.assert(
    fc.property(file, fc.nat(), (one, at) => {
      const text = formatBlocks(one).trimEnd();
      expect(() => parseBlocks(text.slice(0, at % text.length), '/x')).toThrow(
        /^the list of this node's blocks \/x is damaged/,
      );
    }),
  );
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(() => parseBlocks(text, '/x')).toThrow(/is damaged/);
    }),
  );
});

test('a block with a member that is not the agent’s is named by its place', () => {
  const good = { first: '10.0.0.0', length: 26, state: 'held', space: 's', revision: '1', claim: 'c' };
  const bad = [
    null,
    7,
    { ...good, first: '10.0.0' },
    { ...good, length: 33 },
    { ...good, length: '26' },
    { ...good, state: 'taken' },
    { ...good, revision: 1 },
    { ...good, claim: undefined },
  ];
  for (const one of bad) {
    const text = JSON.stringify({ node: 'n', boot: 'b', blocks: [good, one] });
    expect(() => parseBlocks(text, '/x'), text).toThrow(/block 1 is not as the agent writes it/);
  }
});
