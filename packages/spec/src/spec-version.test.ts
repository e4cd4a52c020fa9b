import { expect, test } from 'vitest';
import { specVersions } from './released-versions.ts';
import { compareVersions, parseVersion } from './spec-version.ts';

test('versions compare as numbers, part by part (protocol 55)', () => {
  expect(compareVersions('1.10.0', '1.9.0')).toBeGreaterThan(0);
  expect(compareVersions('0.4.0', '1.0.0')).toBeLessThan(0);
  expect(compareVersions('1.1', '1.1.0')).toBe(0);
  expect(compareVersions('', '0.1.0')).toBe(0);
});

test.each([
  ['', [0, 1, 0]],
  ['1', [1, 0, 0]],
  ['1.1', [1, 1, 0]],
  ['01.1.010', [1, 1, 10]],
  ['0.-42.0', [0, -42, 0]],
  ['+1.1.0', [1, 1, 0]],
])('%j is read as %j', (text, expected) => {
  expect(parseVersion(text)).toEqual(expected);
});

test.each([
  ['x.1', 'failed to convert major version part "x": '],
  ['v1.0.0', 'failed to convert major version part "v1": '],
  ['0.', 'failed to convert minor version part "": '],
  ['..', 'failed to convert major version part "": '],
  ['1.1.0-rc1', 'failed to convert micro version part "0-rc1": '],
  ['1. 1', 'failed to convert minor version part " 1": '],
  ['99999999999999999999', 'failed to convert major version part "99999999999999999999": '],
  ['1.1.0.0', 'invalid version "1.1.0.0": too many parts'],
  ['...', 'invalid version "...": too many parts'],
])('%j is no version, and the error says which part is wrong (protocol 55)', (text, start) => {
  expect(() => parseVersion(text)).toThrow(
    expect.objectContaining({ code: 6, message: expect.stringContaining(start) }),
  );
});

test('the known releases are in ascending order', () => {
  expect([...specVersions].sort(compareVersions)).toEqual(specVersions);
  expect(specVersions.at(-1)).toBe('1.1.0');
});
