import { expect, test } from 'vitest';
import { expectedWords, misspeltWord, nearestWord } from './nearest-word.ts';

const known = ['iptables', 'nftables', 'firewalld'];

test('the nearest of the known words is found, whatever its letter case, and none for what is like none', () => {
  const given = ['nftable', 'nft', 'IPTABLES', 'ip-tables', 'ip6tables', 'firewall', 'firewalled', 'zzz', ''];
  expect(given.map((word) => nearestWord(word, known))).toEqual([
    'nftables',
    'nftables',
    'iptables',
    'iptables',
    'iptables',
    'firewalld',
    'firewalld',
    undefined,
    undefined,
  ]);
  expect(nearestWord('x'.repeat(1_000_000), known)).toBeUndefined();
});

test('a word that is not expected is answered with the right ones', () => {
  const words = ['iptables', 'nftables'];
  expect(expectedWords('nftable', words)).toBe('can be "iptables" or "nftables"; did you mean "nftables"?');
  expect(expectedWords('foo', words)).toBe('can be "iptables" or "nftables"');
});

test.each([
  ['ipMasqq', 'ipMasq'],
  ['IPMASK', 'ipMasq'],
  ['subent', 'subnet'],
  ['gw', undefined],
  ['gwt', 'gw'],
  ['noSnat', undefined],
  ['snta', 'snat'],
  ['tag', undefined],
  ['x'.repeat(1_000_000), undefined],
])('%s is taken for %s', (given, meant) => {
  const known = ['ipMasq', 'subnet', 'snat', ...(given === 'gw' ? [] : ['gw'])];
  expect(misspeltWord(given, known)).toBe(meant);
});
