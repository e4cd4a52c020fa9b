import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './hex.ts';
import { MalformedPacket } from './malformed.ts';
import { readRouterAdvertisement, writeRouterSolicitation } from './router-advertisement.ts';

const bytes = (text: string) => fromHex(text.replaceAll(/\s/g, ''))!;
const head = '86 00 1234 40 c0 0708 00000000 00000000';
const prefix = '03 04 40 c0 00015180 00003840 00000000 20010db8000000000000000000000000';
const advertisement = `${head}
  01 01 020000000001
  05 01 0000 000005dc
  ${prefix}
  19 03 0000 00000708 20010db8000000000000000000000053
  1f 03 0000 00000708 076578616d706c65 036f7267 00 000000`;

describe('an advertisement', () => {
  test('tells whether there is DHCPv6, the router’s time, prefixes, MTU, DNS', () => {
    expect(readRouterAdvertisement(bytes(advertisement))).toEqual({
      hopLimit: 64,
      managed: true,
      other: true,
      routerLifetime: 1800,
      sourceLinkLayer: bytes('020000000001'),
      mtu: 1500,
      prefixes: [{ prefix: '2001:db8::/64', onLink: true, autonomous: true, valid: 86400, preferred: 14400 }],
      rdnss: [{ lifetime: 1800, servers: ['2001:db8::53'] }],
      dnssl: [{ lifetime: 1800, names: ['example.org'] }],
    });
  });

  test('without flags and options says no to all of it', () => {
    expect(readRouterAdvertisement(bytes('86 00 0000 00 00 0000 00000000 00000000'))).toEqual({
      hopLimit: 0,
      managed: false,
      other: false,
      routerLifetime: 0,
      prefixes: [],
      rdnss: [],
      dnssl: [],
    });
  });

  test('an option of another size than it must have counts as absent', () => {
    const odd =
      '05 02 0000 000005dc 0000000000000000 19 02 0000 00000708 0000000000000000 03 01 40c0 00000000';
    const read = readRouterAdvertisement(bytes(`${head}${odd}${prefix.replace('03 04 40', '03 04 81')}`));
    expect([read?.mtu, read?.rdnss, read?.prefixes]).toEqual([undefined, [], []]);
  });

  test('is none where the message is another', () => {
    expect(readRouterAdvertisement(bytes(`87${head.slice(2)}`))).toBeUndefined();
  });

  test.each([
    ['without a header', '8600', 'of 2 bytes has no header'],
    ['cut short', head.slice(0, 21), 'at least 16 bytes'],
    ['of code 1', head.replace('86 00', '86 01'), 'has code 0, and this has 1'],
    [
      'with an option of no length, which would never end',
      `${head} 05 00 0000 00000000`,
      'option 5 of the router advertisement has 0 bytes',
    ],
    ['with an option past the end', `${head} 03 04 40c0`, 'has 32 bytes by its length, and 4 are left'],
    ['with half an option', `${head} 05`, 'has 0 bytes by its length, and 1 are left'],
  ])('is refused %s', (_, hex, sentence) => {
    expect(() => readRouterAdvertisement(bytes(hex))).toThrow(MalformedPacket);
    expect(() => readRouterAdvertisement(bytes(hex))).toThrow(sentence);
  });

  test('any bytes are read or refused', () => {
    const likely = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 25, 31), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(likely, { maxLength: 120 }), (list) => {
        try {
          readRouterAdvertisement(Uint8Array.from([...bytes(head), ...list]));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedPacket);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a solicitation', () => {
  test('tells the hardware address, and its checksum is right', () => {
    const icmp = writeRouterSolicitation('fe80::1', bytes('020000000001'));
    expect(toHex(icmp).replace(/^(8500)....(.*)$/, '$1$2')).toBe(`8500000000000101${'020000000001'}`);
    const source = bytes('fe800000000000000000000000000001');
    const target = bytes('ff020000000000000000000000000002');
    expect(onesComplementSum([...source, ...target, 0, 0, 0, 16, 0, 0, 0, 58, ...icmp])).toBe(0xffff);
  });

  test('from no address does not (RFC 4861, section 4.1)', () => {
    // 8500 + ff02 + 2 + 3a + 8 = 18446, folded 8447, inverted 7bb8
    expect(toHex(writeRouterSolicitation('::', bytes('020000000001')))).toBe('85007bb800000000');
  });
});

function onesComplementSum(data: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    sum += i % 2 === 0 ? data[i]! * 256 : data[i]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}
