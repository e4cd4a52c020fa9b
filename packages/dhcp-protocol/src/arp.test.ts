import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arpConflict, arpProbe } from './arp.ts';
import { fromHex, toHex } from './hex.ts';
import { MalformedPacket } from './malformed.ts';

const mac = '02:00:00:00:00:01';
const address = '192.168.7.50';
const hex = {
  us: '020000000001',
  other: '020000000002',
  address: 'c0a80732',
  router: 'c0a80701',
  none: '00000000',
};

/** operation, sender's MAC and address, asked-for MAC and address */
function packet(operation: number, ...fields: string[]): Uint8Array {
  return fromHex(`00010800060400${operation.toString(16).padStart(2, '0')}${fields.join('')}`)!;
}

test('a probe says who asks, and no address of its own (RFC 5227, section 2.1.1)', () => {
  expect(toHex(arpProbe(mac, address))).toBe(
    `0001080006040001${hex.us}${hex.none}${'0'.repeat(12)}${hex.address}`,
  );
});

describe('a conflict', () => {
  test.each([
    ['an answer from who has the address', packet(2, hex.other, hex.address, hex.us, hex.none)],
    ['a question from who has the address', packet(1, hex.other, hex.address, '0'.repeat(12), hex.router)],
    ['a probe for the address', packet(1, hex.other, hex.none, '0'.repeat(12), hex.address)],
  ])('is %s', (_, bytes) => {
    expect(arpConflict(bytes, mac, address)).toBe('02:00:00:00:00:02');
    // Ethernet fills up short frames.
    expect(arpConflict(Uint8Array.of(...bytes, ...new Uint8Array(18)), mac, address)).toBe(
      '02:00:00:00:00:02',
    );
  });

  test.each([
    ['our own probe', arpProbe(mac, address)],
    ['what we say ourselves', packet(2, hex.us, hex.address, hex.other, hex.router)],
    ['a question for the address', packet(1, hex.other, hex.router, '0'.repeat(12), hex.address)],
    ['a probe for another', packet(1, hex.other, hex.none, '0'.repeat(12), hex.router)],
  ])('is not %s', (_, bytes) => {
    expect(arpConflict(bytes, mac, address)).toBeUndefined();
  });

  test('is read out of any bytes, or they are refused with the one error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          arpConflict(bytes, mac, address);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedPacket);
        }
      }),
    );
    expect(() => arpConflict(arpProbe(mac, address).subarray(0, 27), mac, address)).toThrow(MalformedPacket);
  });
});
