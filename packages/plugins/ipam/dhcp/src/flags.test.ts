import { expect, test } from 'vitest';
import { parseDuration, readFlags, UsageError } from './flags.ts';

test.each([
  ['10s', 10_000],
  ['500ms', 500],
  ['1m2s', 62_000],
  ['3m28s', 208_000],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['2us', 0.002],
  ['0', 0],
])('the duration %s', (text, milliseconds) => {
  expect(parseDuration(text)).toBeCloseTo(milliseconds, 6);
});

test.each(['', '10', 's', '1d', '10 s', '-1s', '1s2'])('%s is no duration', (text) => {
  expect(parseDuration(text)).toBe(undefined);
});

test('flags have one dash or two, and their value after = or as the next argument; what is left out has the reference’s default', () => {
  const flags = readFlags([
    '--timeout=2s',
    '-socketpath',
    '/s',
    '-broadcast',
    '--pidfile',
    '/p',
    '-hostprefix=/h',
  ]);
  expect(flags).toEqual({
    pidfile: '/p',
    hostprefix: '/h',
    socketpath: '/s',
    timeout: 2000,
    resendmax: 62_000,
    resendtimeout: 208_000,
    broadcast: true,
    statedir: '/var/lib/cni/dhcp',
  });
  expect(readFlags(['-broadcast=false'])?.broadcast).toBe(false);
  expect(readFlags(['-h'])).toBe(undefined);
});

test.each([
  [['-nonsense'], 'flag provided but not defined: -nonsense'],
  [['-timeout'], 'flag needs an argument: -timeout'],
  [['-timeout', 'soon'], 'invalid value "soon" for flag -timeout: parse error'],
  [['-broadcast=maybe'], 'invalid boolean value "maybe" for -broadcast: parse error'],
])('%s is refused in the words of Go’s flag', (args, message) => {
  expect(() => readFlags(args)).toThrow(new UsageError(message));
});
