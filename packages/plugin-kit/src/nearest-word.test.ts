import { expect, test } from 'vitest';
import { expectedWords } from './nearest-word.ts';

const words = ['iptables', 'nftables'];

test.for([
  ['nftable', 'nftables'],
  ['nft', undefined],
  ['NFTABLES', 'nftables'],
  ['ip-tables', 'iptables'],
  ['foo', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
] as const)('a word like %s is answered with the right one, if it resembles one', ([given, nearest]) => {
  const more = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
  expect(expectedWords(given, words)).toBe(`can be "iptables" or "nftables"${more}`);
});
