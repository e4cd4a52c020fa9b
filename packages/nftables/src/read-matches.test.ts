import { expect, test } from 'vitest';
import { readMatches } from './read-matches.ts';

const textsOf = (family: 4 | 6, text: string) =>
  readMatches(family, text).map((all) => all.map((one) => one.text).join(' '));

test.for<[string, string[]]>([
  ['', ['']],
  ['ip saddr 10.1.2.0/24', ['ip saddr 10.1.2.0/24']],
  ['ip saddr != 10.1.2.3 iifname "eth0"', ['ip saddr != 10.1.2.3 iifname "eth0"']],
  ['ip daddr { 10.1.2.3, 10.1.2.4 }', ['ip daddr 10.1.2.3', 'ip daddr 10.1.2.4']],
  ['oifname != { a, b* }', ['oifname != "a" oifname != "b*"']],
  ['tcp sport 1024-2048', ['meta l4proto tcp th sport 1024-2048']],
  ['th dport 53', ['th dport 53']],
  ['ip protocol udp', ['meta l4proto udp']],
  ['meta mark and 0xf == 0x1', ['meta mark & 0xf == 0x1']],
  ['ether saddr 02:00:00:00:00:01', ['ether saddr 02:00:00:00:00:01']],
  ['ct state new,established', ['ct state new,established']],
  ['ct status dnat fib daddr type local', ['ct status dnat fib daddr type local']],
])('%s is read', ([text, expected]) => {
  expect(textsOf(4, text)).toEqual(expected);
});

test('addresses are those of the family', () => {
  expect(textsOf(6, 'ip6 saddr 2001:db8::/64')).toEqual(['ip6 saddr 2001:db8::/64']);
  expect(() => readMatches(4, 'ip6 saddr 2001:db8::/64')).toThrow('ip6 saddr 2001:db8::/64');
  expect(() => readMatches(4, 'ip saddr 2001:db8::1')).toThrow('2001:db8::1');
});

test.for<[string, string]>([
  ['ip saddr nobody', 'nobody'],
  ['iifname a nonsense b', 'nonsense b'],
  ['tcp dport 1-70000', '1-70000'],
  ['tcp dport != 1-2', '!= 1-2'],
  ['mark != 1', '!= 1'],
  ['fib daddr type broadcast', 'fib daddr type broadcast'],
  ['ct state old', 'ct state old'],
  ['ip saddr { 10.1.2.3', '10.1.2.3'],
])('of %s it is said what was not understood', ([text, rest]) => {
  expect(() => readMatches(4, text)).toThrow(new RegExp(`^${rest}$`));
});
