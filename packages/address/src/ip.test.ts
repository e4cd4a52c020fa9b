import fc from 'fast-check';
import IPCIDR from 'ip-cidr';
import { expect, test } from 'vitest';
import {
  compareIp,
  equalIp,
  formatIp,
  type Ip,
  isGlobalUnicast,
  isLoopback,
  nextIp,
  parseIp,
  previousIp,
} from './ip.ts';

const anyIpv4 = fc.ipV4();
const anyIpv6 = fc.ipV6().filter((text) => ip(text).family === 6);
/** The library takes an IPv6 address that ends in a dotted quad for an IPv4 address. */
const hexOnly = anyIpv6.filter((text) => !text.includes('.'));
/** Groups that are often zero, so that runs of zeros of all lengths and places come up. */
const manyZeros = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))
  .filter((text) => ip(text).family === 6);

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} was refused`);
  return parsed;
}

function canonical(text: string): string {
  return formatIp(ip(text));
}

test('any IPv4 address is printed as it was written', () => {
  fc.assert(
    fc.property(anyIpv4, (text) => {
      expect(canonical(text)).toBe(text);
    }),
  );
});

test('any IPv6 address is printed as the ip-cidr library prints it', () => {
  fc.assert(
    fc.property(fc.oneof(hexOnly, manyZeros), (text) => {
      expect(canonical(text)).toBe(IPCIDR.createAddress(text).correctForm());
    }),
  );
});

test('what is printed is read back as the same address', () => {
  fc.assert(
    fc.property(fc.oneof(anyIpv4, anyIpv6, manyZeros), (text) => {
      expect(ip(canonical(text))).toEqual(ip(text));
    }),
  );
});

test('text of digits, colons and dots is accepted only where the ip-cidr library accepts it', () => {
  const characters = fc.constantFrom(...'0123456789abcdefF.::::g/%'.split(''));
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 20 }), (text) => {
      if (parseIp(text) !== undefined) expect(IPCIDR.isValidAddress(text)).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ['0:0:0:0:0:0:0:0', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['1:0:0:0:0:0:0:0', '1::'],
  ['2001:0DB8:0:0::1', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::1.2.3.4', '::102:304'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
])('%s is spelled %s, as RFC 5952 asks', (text, expected) => {
  expect(canonical(text)).toBe(expected);
});

test('an IPv4-mapped IPv6 address is the IPv4 address', () => {
  expect(ip('::ffff:1.2.3.4')).toEqual(ip('1.2.3.4'));
  expect(ip('0:0:0:0:0:FFFF:102:304')).toEqual(ip('1.2.3.4'));
  expect(ip('::fffe:1.2.3.4').family).toBe(6);
});

test('mapped bytes the kernel hands out are printed with a dotted quad', () => {
  const bytes = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4]);
  expect(formatIp({ family: 6, bytes })).toBe('::ffff:1.2.3.4');
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.',
  '.1.2.3',
  '1..2.3',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.00',
  ' 1.2.3.4',
  '1.2.3.4 ',
  '+1.2.3.4',
  '0x1.2.3.4',
  '1.2.3.4/24',
  ':',
  ':::',
  '1',
  ':1',
  '1:',
  ':1::2',
  '1::2:',
  '1::2::3',
  '12345::',
  'g::',
  'fe80::1%eth0',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4::5:6:7:8',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3',
  '::1.2.3.4:5',
  '::01.2.3.4',
  '1.2.3.4::',
])('%j is no address', (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test('next and previous undo each other', () => {
  fc.assert(
    fc.property(fc.oneof(anyIpv4, anyIpv6), (text) => {
      expect(previousIp(nextIp(ip(text)))).toEqual(ip(text));
      expect(nextIp(previousIp(ip(text)))).toEqual(ip(text));
    }),
  );
});

test('the step to the next address carries, and stays in the family at the end', () => {
  expect(formatIp(nextIp(ip('10.0.255.255')))).toBe('10.1.0.0');
  expect(formatIp(previousIp(ip('10.1.0.0')))).toBe('10.0.255.255');
  expect(formatIp(nextIp(ip('255.255.255.255')))).toBe('0.0.0.0');
  expect(formatIp(previousIp(ip('::')))).toBe('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff');
});

test('a step leaves the address it started from alone, even one that lies in a Buffer', () => {
  const start: Ip = { family: 4, bytes: Buffer.from([10, 0, 0, 1]) };
  nextIp(start);
  previousIp(start);
  expect(formatIp(start)).toBe('10.0.0.1');
});

test('addresses sort by number, IPv4 first', () => {
  const texts = ['::1', '10.0.0.10', '10.0.0.9', '9.255.0.0', '::'];
  expect(texts.map(ip).sort(compareIp).map(formatIp)).toEqual([
    '9.255.0.0',
    '10.0.0.9',
    '10.0.0.10',
    '::',
    '::1',
  ]);
  expect(equalIp(ip('::a'), ip('0:0::A'))).toBe(true);
  expect(equalIp(ip('0.0.0.0'), ip('::'))).toBe(false);
});

test.each(['10.0.0.1', '192.168.0.1', '1.1.1.1', '100.64.0.1', 'fd00::1', '2001:db8::1', 'fec0::1'])(
  '%s is a global unicast address',
  (text) => expect(isGlobalUnicast(ip(text))).toBe(true),
);

test.each([
  '0.0.0.0',
  '127.0.0.1',
  '224.0.0.1',
  '239.255.255.255',
  '169.254.1.1',
  '255.255.255.255',
  '::',
  '::1',
  'ff02::1',
  'fe80::1',
  'febf::1',
])('%s is not a global unicast address', (text) => expect(isGlobalUnicast(ip(text))).toBe(false));

test('127.0.0.0/8 and ::1 are loopback, their neighbours are not', () => {
  for (const text of ['127.0.0.1', '127.255.255.255', '::1']) expect(isLoopback(ip(text))).toBe(true);
  for (const text of ['126.255.255.255', '128.0.0.0', '::', '::2', '1::1']) {
    expect(isLoopback(ip(text))).toBe(false);
  }
});
