import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { duidEn, duidLl, duidUuid, iaidOf } from './duid.ts';
import { fromHex, toHex } from './hex.ts';
import { MalformedPacket } from './malformed.ts';
import { decodeMessage6, encodeMessage6, type Message6 } from './message6.ts';
import type { Options6 } from './options6.ts';

const bytes = (text: string) => fromHex(text.replaceAll(/\s/g, ''))!;
const db8 = '20010db8000000000000000000000001';

/** A reply with a lease, an option per line, as RFC 8415, section 21, draws them. */
const reply = `
  07 123456
  0001 000a 00030001020000000001
  0002 000a 00030001020000000002
  0003 0028 0000000a 00000e10 00001518
    0005 0018 ${db8} 00001c20 00002a30
  000d 0004 0000 6f6b
  0017 0010 ${db8}
  0018 000d 076578616d706c65 036f7267 00
  0038 0014 0001 0010 ${db8}
  0052 0004 00000e10
  ffaa 0001 07`;
const decoded: Message6 = {
  type: 7,
  xid: 0x123456,
  options: {
    clientId: bytes('00030001020000000001'),
    serverId: bytes('00030001020000000002'),
    ia: [
      {
        iaid: 10,
        t1: 3600,
        t2: 5400,
        addresses: [{ address: '2001:db8::1', preferred: 7200, valid: 10800 }],
      },
    ],
    status: { code: 0, message: 'ok' },
    dnsServers: ['2001:db8::1'],
    domainSearch: ['example.org'],
    ntpServers: ['2001:db8::1'],
    solMaxRt: 3600,
    others: [[0xffaa, Uint8Array.of(7)]],
  },
};

describe('a message', () => {
  test('is read option by option, and written as it was', () => {
    expect(decodeMessage6(bytes(reply))).toEqual(decoded);
    expect(toHex(encodeMessage6(decoded))).toBe(toHex(bytes(reply)));
  });

  test('a Solicit asks with ORO, elapsed time, rapid commit and an empty association', () => {
    const solicit: Message6 = {
      type: 1,
      xid: 1,
      options: {
        clientId: bytes('0001'),
        ia: [{ iaid: 1, t1: 0, t2: 0, addresses: [] }],
        requestList: [23, 24],
        elapsed: 0x0102,
        rapidCommit: true,
      },
    };
    const written =
      '01 000001 00010002 0001 0003000c 000000010000000000000000 00060004 00170018 00080002 0102 000e0000';
    expect(toHex(encodeMessage6(solicit))).toBe(toHex(bytes(written)));
  });

  test('an association and an address in it may have a status each', () => {
    const inner = `0005 001e ${db8} 00000001 00000002 000d 0002 0004`;
    const ia = bytes(`07 000000 0003 0034 00000001 00000000 00000000 ${inner} 000d 0002 0003`);
    expect(decodeMessage6(ia).options.ia).toEqual([
      {
        iaid: 1,
        t1: 0,
        t2: 0,
        addresses: [{ address: '2001:db8::1', preferred: 1, valid: 2, status: { code: 4, message: '' } }],
        status: { code: 3, message: '' },
      },
    ]);
  });

  test('an NTP option has addresses and names, and no multicast group counts', () => {
    const source = `0001 0010 ${db8} 0002 0010 ff020000000000000000000000000101 0003 0008 036e7470 026465 00`;
    expect(decodeMessage6(bytes(`07 000000 0038 0034 ${source}`)).options.ntpServers).toEqual([
      '2001:db8::1',
      'ntp.de',
    ]);
  });

  test('an option that is malformed counts as absent, and of two the first counts', () => {
    const odd = `0007 0002 0101 0017 0004 20010db8 0006 0003 001700 0008 0001 00 000d 0001 00`;
    expect(decodeMessage6(bytes(`07 000000 ${odd}`)).options).toEqual({});
    expect(decodeMessage6(bytes('07 000000 0007 0001 05 0007 0001 06')).options).toEqual({ preference: 5 });
  });
});

describe('no message', () => {
  test.each([
    ['shorter than its header', '070000', 'at least 4 bytes, and this has 3'],
    ['of a relay', '0c00', 'at least 4 bytes'],
    ['of a relay, with its header', `0c00${db8}${db8}`, 'between relays and servers'],
    ['with an option past the end', '07000000 0001 0005 00', 'option 1 of the DHCPv6 message has 5 bytes'],
    ['with an option cut short', '07000000 0001', '2 bytes after the last DHCPv6 option'],
    [
      'with one in an association past its end',
      '07000000 0003 0010 00000001 00000000 00000000 0005 0018',
      'option 5',
    ],
  ])('%s', (_, hex, sentence) => {
    expect(() => decodeMessage6(bytes(hex))).toThrow(MalformedPacket);
    expect(() => decodeMessage6(bytes(hex))).toThrow(sentence);
  });
});

describe('any', () => {
  const u8 = fc.integer({ min: 0, max: 255 });
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const status = fc.record({ code: u16, message: fc.string() });
  const name = fc.stringMatching(/^[a-z0-9-]{1,20}(\.[a-z]{1,9}){0,3}$/);
  const ip6 = fc.ipV6().map((text) => decodeAddress(text));
  const ip6s = fc.array(ip6, { minLength: 1, maxLength: 4 });
  const address = fc.record(
    { address: ip6, preferred: u32, valid: u32, status },
    { requiredKeys: ['address', 'preferred', 'valid'] },
  );
  const ia = fc.record(
    { iaid: u32, t1: u32, t2: u32, addresses: fc.array(address, { maxLength: 4 }), status },
    { requiredKeys: ['iaid', 't1', 't2', 'addresses'] },
  );
  const options: fc.Arbitrary<Options6> = fc.record(
    {
      clientId: fc.uint8Array({ maxLength: 130 }),
      serverId: fc.uint8Array({ maxLength: 130 }),
      ia: fc.array(ia, { minLength: 1, maxLength: 3 }),
      requestList: fc.array(u16),
      preference: u8,
      elapsed: u16,
      status,
      rapidCommit: fc.constant<true>(true),
      dnsServers: ip6s,
      domainSearch: fc.array(name, { minLength: 1 }),
      ntpServers: fc.array(fc.oneof(ip6, name), { minLength: 1 }),
      informationRefresh: u32,
      solMaxRt: u32,
      others: fc.array(fc.tuple(fc.integer({ min: 1000, max: 0xffff }), fc.uint8Array()), { minLength: 1 }),
    },
    { requiredKeys: [] },
  );
  const message = fc.record({
    type: u8.filter((type) => type !== 12 && type !== 13),
    xid: fc.nat(0xffffff),
    options,
  });

  test('message that is written is read as it was', () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(decodeMessage6(encodeMessage6(one))).toEqual(one);
      }),
    );
  });

  test('bytes are read or refused with the one error', () => {
    fc.assert(
      fc.property(
        message,
        fc.array(fc.tuple(fc.nat(), u8), { maxLength: 5 }),
        fc.nat(),
        (one, changes, cut) => {
          const payload = encodeMessage6(one);
          for (const [at, value] of changes) payload[at % payload.length] = value;
          try {
            decodeMessage6(payload.subarray(0, cut % (payload.length + 1)));
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedPacket);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  function decodeAddress(text: string): string {
    const one = decodeMessage6(encodeMessage6({ type: 7, xid: 0, options: { dnsServers: [text] } }));
    return one.options.dnsServers![0]!;
  }
});

describe('identifiers', () => {
  test('DUID-LL is of Ethernet, or of InfiniBand where the address is that long', () => {
    expect(toHex(duidLl(bytes('020000000001')))).toBe('00030001020000000001');
    expect(toHex(duidLl(new Uint8Array(20))).slice(0, 8)).toBe('00030020');
  });

  test('DUID-EN is a vendor and what it says', () => {
    expect(toHex(duidEn(32473, bytes('0ac2')))).toBe('000200007ed90ac2');
  });

  test('DUID-UUID is a UUID, and nothing else', () => {
    expect(toHex(duidUuid('f81d4fae-7dec-11d0-a765-00a0c91e6bf6')!)).toBe(
      '0004f81d4fae7dec11d0a76500a0c91e6bf6',
    );
    expect(duidUuid('f81d4fae')).toBeUndefined();
    expect(duidUuid('g81d4fae-7dec-11d0-a765-00a0c91e6bf6')).toBeUndefined();
  });

  test('the number of an association follows from its text', () => {
    expect(iaidOf('c1/net/eth0')).toBe(iaidOf('c1/net/eth0'));
    expect(iaidOf('c1/net/eth0')).not.toBe(iaidOf('c1/net/eth1'));
    expect(iaidOf('')).toBe(0x811c9dc5);
    expect(iaidOf('a')).toBe(0xe40c292c); // the test vector of the hash's authors
  });
});
