import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatMac, parseMac } from './mac.ts';

test('hardware addresses of all three lengths are read back as printed', () => {
  const bytes = fc
    .constantFrom(6, 8, 20)
    .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
  fc.assert(
    fc.property(bytes, (mac) => {
      expect(parseMac(formatMac(mac))).toEqual(mac);
    }),
  );
});

test.each(['0A:1b:2C:00:ff:01', '0a-1B-2c-00-FF-01', '0a1b.2c00.ff01'])('%s is one address', (text) => {
  const mac = parseMac(text);
  expect(mac && formatMac(mac)).toBe('0a:1b:2c:00:ff:01');
});

test.each([
  '',
  '0a1b2c00ff01',
  '0a:1b:2c:00:ff',
  '0a:1b:2c:00:ff:01:02',
  '0a:1b-2c:00:ff:01',
  'a:1b:2c:00:ff:01',
  '0a:1b:2c:00:ff:01:',
  ':0a:1b:2c:00:ff:01',
  'ga:1b:2c:00:ff:01',
  '0a.1b.2c.00.ff.01',
  ' 0a:1b:2c:00:ff:01',
])('%j is no hardware address', (text) => {
  expect(parseMac(text)).toBeUndefined();
});
