import { parseIp } from '@cni-ts/address/ip';
import { expect, test } from 'vitest';
import { booleanArg, ipArg, parseCniArgs, stringArg } from './cni-args.ts';

const known = { A: stringArg, B: booleanArg, IP: ipArg };

function refusal(text: string): string {
  try {
    parseCniArgs(text, known);
  } catch (error) {
    expect(error).toMatchObject({ code: 999 });
    if (error instanceof Error) return error.message;
  }
  return 'accepted';
}

test('no arguments are no error (protocol 33)', () => {
  expect(parseCniArgs('', known)).toEqual({});
});

test('a piece without exactly one = is refused, even where unknown keys are ignored (protocol 33)', () => {
  expect(refusal('A')).toBe('ARGS: invalid pair "A"');
  expect(refusal('A=b=c')).toBe('ARGS: invalid pair "A=b=c"');
  expect(refusal('IgnoreUnknown=1;')).toBe('ARGS: invalid pair ""');
});

test('unknown keys are refused all together (protocol 34)', () => {
  expect(refusal('C=b;A=x;D=d')).toBe('ARGS: unknown args ["C=b" "D=d"]');
  expect(refusal(' A=b')).toBe('ARGS: unknown args [" A=b"]');
  expect(refusal('a=b')).toBe('ARGS: unknown args ["a=b"]');
  expect(refusal('constructor=b')).toBe('ARGS: unknown args ["constructor=b"]');
});

test('unknown keys are passed over when IgnoreUnknown stands anywhere (protocol 34)', () => {
  expect(parseCniArgs('C=b;IgnoreUnknown=true', known)).toEqual({});
  expect(parseCniArgs('IgnoreUnknown=1;C=b;A=c', known)).toEqual({ A: 'c' });
});

test('IgnoreUnknown must be a boolean, and its last occurrence counts (protocol 35)', () => {
  expect(refusal('IgnoreUnknown=yes')).toBe(
    'ARGS: error parsing value of pair "IgnoreUnknown=yes": boolean unmarshal error: invalid input yes',
  );
  expect(refusal('IgnoreUnknown=1;IgnoreUnknown=0;Q=1')).toBe('ARGS: unknown args ["Q=1"]');
});

test.each([
  ['1', true],
  ['true', true],
  ['TRUE', true],
  ['0', false],
  ['False', false],
])('%s is the boolean %s (protocol 36)', (text, expected) => {
  expect(parseCniArgs(`B=${text}`, known)).toEqual({ B: expected });
});

test('other text is no boolean, and the empty string is a string (protocol 36)', () => {
  expect(refusal('B=T')).toBe(
    'ARGS: error parsing value of pair "B=T": boolean unmarshal error: invalid input t',
  );
  expect(refusal('B=')).toBe(
    'ARGS: error parsing value of pair "B=": boolean unmarshal error: invalid input ',
  );
  expect(parseCniArgs('A=', known)).toEqual({ A: '' });
});

test('the last of several values for one key wins', () => {
  expect(parseCniArgs('A=1;A=2', known)).toEqual({ A: '2' });
});

test('an IP address is strict, and empty means none', () => {
  expect(parseCniArgs('IP=10.1.2.3', known)).toEqual({ IP: parseIp('10.1.2.3') });
  expect(parseCniArgs('IP=', known)).toEqual({ IP: undefined });
  expect(refusal('IP=10.1.2')).toBe(
    'ARGS: error parsing value of pair "IP=10.1.2": invalid IP address: 10.1.2',
  );
});
