import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockOf, isInside, single } from './block.ts';
import { BlockList, type BlocksFile, formatBlocks, type HeldBlock, parseBlocks } from './blocks-file.ts';

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

test('a block that is read alone is the one that all together have', () => {
  fc.assert(
    fc.property(
      file,
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.boolean(),
      (one, bytes, isLaidOut) => {
        const text = isLaidOut
          ? formatBlocks(one)
          : JSON.stringify(JSON.parse(formatBlocks(one)), undefined, 1);
        const list = () => new BlockList(text, '/x');
        const whole = parseBlocks(text, '/x');
        expect(list().boot).toBe(one.boot);
        expect(list().all).toEqual(whole.blocks);
        expect(list().last).toEqual(whole.blocks.at(-1));
        for (const ip of [{ family: 4 as const, bytes }, ...one.blocks.map(({ first }) => first)]) {
          const around = whole.blocks.filter((block) => isInside(block, single(ip)));
          expect(around.length === 0 ? [undefined] : around).toContainEqual(list().around(ip, () => true));
          const seen: HeldBlock[] = [];
          list().around(ip, (block) => seen.push(block) === 0);
          expect(seen).toEqual(expect.arrayContaining(around));
          const accepted = around.find(({ state }) => state === 'held');
          expect(list().around(ip, ({ state }) => state === 'held') === undefined).toBe(
            accepted === undefined,
          );
        }
      },
    ),
  );
});

test('a block that is damaged is found when it is read, and what is around it is not needed for others', () => {
  const held = { length: 26, state: 'held' as const, space: 's', revision: '1', claim: 'c' };
  const blocks = ['10.0.0.0', '10.0.0.64', '10.0.0.128'].map((text) => ({ ...held, first: parseIp(text)! }));
  const text = formatBlocks({ node: 'n', boot: 'b', blocks });
  const list = new BlockList(text.replace('"length":26', '"length":"x"'), '/x');
  expect(list.last).toEqual(blocks[2]);
  expect(list.around(parseIp('10.0.0.70')!, () => true)).toEqual(blocks[1]);
  const damaged = /^the list of this node's blocks \/x is damaged/;
  expect(() => list.around(parseIp('10.0.0.7')!, () => true)).toThrow(damaged);
  expect(() => list.all).toThrow(damaged);
  expect(() => new BlockList(text.slice(0, -2), '/x')).toThrow(damaged);
});
