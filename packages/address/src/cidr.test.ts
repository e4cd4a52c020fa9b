import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cidr, contains, formatCidr, lastOf, maskOf, networkOf, parseCidr } from './cidr.ts';
import { formatIp, type Ip, nextIp, parseIp, previousIp } from './ip.ts';
import { addressesOf, subnetOf } from './subnet.ts';

const anyCidr = fc
  .oneof(
    fc.record({ ip: fc.ipV4(), prefix: fc.integer({ min: 0, max: 32 }) }),
    fc.record({
      ip: fc.ipV6().filter((text) => ip(text).family === 6),
      prefix: fc.integer({ min: 0, max: 128 }),
    }),
  )
  .map(({ ip, prefix }) => cidr(`${ip}/${prefix}`));

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} was refused`);
  return parsed;
}

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} was refused`);
  return parsed;
}

test('what is printed is read back as the same value', () => {
  fc.assert(
    fc.property(anyCidr, (c) => {
      expect(cidr(formatCidr(c))).toEqual(c);
    }),
  );
});

test('first and last address are those the ip-cidr library finds', () => {
  fc.assert(
    fc.property(anyCidr, (c) => {
      const { first, last } = subnetOf(c);
      expect(formatIp(networkOf(c).ip)).toBe(formatIp(first));
      expect(formatIp(lastOf(c))).toBe(formatIp(last));
    }),
  );
});

test('a subnet of IPv6 that ends in IPv4’s part of it ends in an IPv6 address', () => {
  expect(formatIp(subnetOf(cidr('::/80')).last)).toBe('::ffff:255.255.255.255');
});

test('a network contains its first and last address and not the ones beside them', () => {
  fc.assert(
    fc.property(
      anyCidr.filter((c) => c.prefix > 0),
      (c) => {
        const first = networkOf(c).ip;
        expect([first, c.ip, lastOf(c)].map((inside) => contains(c, inside))).toEqual([true, true, true]);
        expect(contains(c, previousIp(first))).toBe(false);
        expect(contains(c, nextIp(lastOf(c)))).toBe(false);
      },
    ),
  );
});

test('a /0 contains its whole family and nothing of the other', () => {
  expect(contains(cidr('0.0.0.0/0'), ip('255.1.2.3'))).toBe(true);
  expect(contains(cidr('0.0.0.0/0'), ip('::'))).toBe(false);
  expect(contains(cidr('::/0'), ip('ffff::'))).toBe(true);
  expect(contains(cidr('::/0'), ip('1.2.3.4'))).toBe(false);
});

test('host bits are kept', () => {
  expect(formatCidr(cidr('10.1.2.3/8'))).toBe('10.1.2.3/8');
  expect(formatCidr(networkOf(cidr('10.1.2.3/8')))).toBe('10.0.0.0/8');
});

test('a prefix that ends inside a byte splits that byte', () => {
  expect(formatCidr(networkOf(cidr('10.1.255.3/20')))).toBe('10.1.240.0/20');
  expect(formatIp(lastOf(cidr('10.1.240.3/20')))).toBe('10.1.255.255');
  expect([...maskOf(cidr('10.1.240.3/20'))]).toEqual([255, 255, 240, 0]);
  expect([...maskOf(cidr('fd00::/60'))].slice(6, 9)).toEqual([255, 240, 0]);
});

test.each([
  ['::ffff:1.2.3.4/120', '1.2.3.4/24'],
  ['::ffff:1.2.3.4/96', '1.2.3.4/0'],
  ['::ffff:1.2.3.4/20', '1.2.3.4/0'],
  ['10.1.2.3/008', '10.1.2.3/8'],
  ['2001:0DB8:0:0::1/64', '2001:db8::1/64'],
])('%s is %s', (text, expected) => {
  expect(formatCidr(cidr(text))).toBe(expected);
});

test.each([
  '',
  '/',
  '/24',
  '1.2.3.4',
  '1.2.3.4/',
  '1.2.3.4/33',
  '1.2.3.4/-1',
  '1.2.3.4/+8',
  '1.2.3.4/8.0',
  '1.2.3.4/0x8',
  '1.2.3.4/ 8',
  '1.2.3.4/8/8',
  '1.2.3.4/255.0.0.0',
  '01.2.3.4/8',
  '::/129',
  '::ffff:1.2.3.4/129',
  'fe80::1%eth0/64',
])('%j is no address with prefix length', (text) => {
  expect(parseCidr(text)).toBeUndefined();
});

test('the size of a subnet and a window of its addresses are counted by the library', () => {
  expect(subnetOf(cidr('10.0.0.9/29')).size).toBe(8n);
  expect(subnetOf(cidr('fd00::/64')).size).toBe(2n ** 64n);
  expect(addressesOf(cidr('10.0.0.9/29'), 100).map(formatIp)).toHaveLength(8);
  expect(addressesOf(cidr('fd00::7/64'), 3, 5n).map(formatIp)).toEqual(['fd00::5', 'fd00::6', 'fd00::7']);
  expect(addressesOf(cidr('10.0.0.0/8'), 0)).toEqual([]);
});
