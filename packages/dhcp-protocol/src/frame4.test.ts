import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readFrame4, writeFrame4 } from './frame4.ts';
import { fromHex, toHex } from './hex.ts';
import { MalformedPacket } from './malformed.ts';

const bytes = (text: string) => fromHex(text.replaceAll(' ', ''))!;

/** To the client's port, `abcd`, without a checksum of UDP. */
const toClient = '45000020 00000000 4011 70cd 0a000001 ffffffff 00430044 000c 0000 61626364';

/** A packet whose IP header is right, whatever is in it. */
function withHeader(head: string, rest: string): Uint8Array {
  const packet = bytes(head + rest);
  packet.fill(0, 10, 12);
  let sum = 0;
  const header = (packet[0]! & 15) * 4;
  for (let at = 0; at < header; at += 2) sum += (packet[at]! << 8) | packet[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  packet.set([~(sum >> 8) & 255, ~sum & 255], 10);
  return packet;
}

describe('writing', () => {
  test('a broadcast from no address: TTL 64, id 0, not to be fragmented, both checksums right', () => {
    const packet = writeFrame4({
      source: '0.0.0.0',
      destination: '255.255.255.255',
      payload: bytes('616263'),
    });
    expect(toHex(packet.subarray(0, 20))).toBe('4500001f0000400040113acf00000000ffffffff');
    expect(toHex(packet.subarray(20, 26))).toBe('00440043000b');
    expect(toHex(packet.subarray(28))).toBe('616263');
    expect(onesComplementSum(packet.subarray(0, 20))).toBe(0xffff);
    expect(onesComplementSum(pseudo(packet))).toBe(0xffff);
  });

  test('a payload that no packet holds is refused', () => {
    const send = { source: '0.0.0.0', destination: '255.255.255.255' };
    expect(() => writeFrame4({ ...send, payload: new Uint8Array(65_508) })).toThrow(RangeError);
    expect(writeFrame4({ ...send, payload: new Uint8Array(65_507) })).toHaveLength(65_535);
  });

  test('a checksum that comes out as 0 is written as ffff: 0 would say that there is none', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.uint8Array({ maxLength: 40 }), (source, destination, payload) => {
        const packet = writeFrame4({ source, destination, payload });
        expect((packet[26]! << 8) | packet[27]!).not.toBe(0);
        expect(onesComplementSum(packet.subarray(0, 20))).toBe(0xffff);
        expect(onesComplementSum(pseudo(packet))).toBe(0xffff);
      }),
    );
    // The payload's word makes the sum of all others whole.
    const send = { source: '0.0.0.0', destination: '0.0.0.0' };
    const before = writeFrame4({ ...send, payload: bytes('0000') });
    const payload = before.subarray(26, 28);
    expect(toHex(writeFrame4({ ...send, payload }).subarray(26, 28))).toBe('ffff');
  });
});

describe('reading', () => {
  test('gives what came for the client, without checksum, too', () => {
    expect(readFrame4(bytes(toClient))).toEqual({
      source: '10.0.0.1',
      destination: '255.255.255.255',
      payload: bytes('61626364'),
    });
  });

  test('cuts off what Ethernet pads, and what IP has beyond the datagram', () => {
    expect(toHex(readFrame4(withHeader(toClient, '000000000000'))!.payload)).toBe('61626364');
    const shorter = toClient.replace('000c 0000', '000a 0000');
    expect(toHex(readFrame4(withHeader(shorter, ''))!.payload)).toBe('6162');
  });

  test('skips the options of the IP header', () => {
    const head = '46000024 00000000 4011 0000 0a000001 ffffffff 01010101 00430044 000c 0000 61626364';
    expect(toHex(readFrame4(withHeader(head, ''))!.payload)).toBe('61626364');
  });

  test.each([
    ['another protocol', toClient.replace('4011', '4006')],
    ['another port', toClient.replace('00430044', '00430043')],
    ['IPv6', toClient.replace('45', '60')],
  ])('gives nothing of %s', (_, head) => {
    expect(readFrame4(withHeader(head, ''))).toBeUndefined();
  });

  const total = (length: number) =>
    toClient.replace('45000020', `4500${length.toString(16).padStart(4, '0')}`);
  const udp = (length: string) => toClient.replace('000c 0000', `${length} 0000`);
  test.each([
    ...[0, 19].map((length) => [
      `IP length ${length}`,
      total(length),
      `claims ${length} with a header of 20`,
    ]),
    ...[20, 21, 22, 23, 24, 25, 26, 27].map((length) => [
      `IP length ${length}`,
      total(length),
      `a UDP header has 8 bytes, and the packet has ${length - 20} for it`,
    ]),
    ['IP length past the end', total(0x21), 'the IPv4 packet is of 32 bytes, and claims 33'],
    ['UDP length 0', udp('0000'), 'the UDP datagram claims 0 bytes'],
    ['UDP length 7', udp('0007'), 'the UDP datagram claims 7 bytes'],
    ['UDP length 13', udp('000d'), 'the UDP datagram claims 13 bytes, and the packet has 12'],
    ['UDP length 65535', udp('ffff'), 'the UDP datagram claims 65535 bytes'],
    ['the first fragment', toClient.replace('00000000 4011', '00002000 4011'), 'the packet is a fragment'],
    ['a later fragment', toClient.replace('00000000 4011', '00000001 4011'), 'the packet is a fragment'],
    ['a header of 16 bytes', toClient.replace('45', '44'), 'with a header of 16'],
    ['a wrong UDP checksum', toClient.replace('000c 0000', '000c 1234'), 'checksum of the UDP datagram'],
  ])('refuses %s (dhcp trap 3)', (_, head, sentence) => {
    const packet = withHeader(head!, '');
    expect(() => readFrame4(packet)).toThrow(MalformedPacket);
    expect(() => readFrame4(packet)).toThrow(sentence);
  });

  test('refuses a wrong header checksum, an empty packet and one shorter than a header', () => {
    expect(() => readFrame4(bytes(toClient.replace('70cd', '1234')))).toThrow('checksum of the IPv4 header');
    expect(() => readFrame4(new Uint8Array(0))).toThrow('the packet is empty');
    expect(() => readFrame4(bytes('450000'))).toThrow('at least 20 bytes, and this has 3');
  });

  test('takes a checksum that was left to hardware, where it is told of it', () => {
    const packet = withHeader(toClient.replace('000c 0000', '000c 1234'), '');
    expect(toHex(readFrame4(packet, { checksum: false })!.payload)).toBe('61626364');
  });

  test('any bytes are read or refused', () => {
    const good = withHeader(toClient, '');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(31), fc.integer({ min: 0, max: 255 }))),
        fc.nat(40),
        (changes, length) => {
          const packet = new Uint8Array(length);
          packet.set(good.subarray(0, length));
          for (const [at, value] of changes) if (at < length) packet[at] = value;
          try {
            readFrame4(packet);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedPacket);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** A second opinion on checksums: RFC 1071 to the letter. */
function onesComplementSum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    sum += i % 2 === 0 ? data[i]! * 256 : data[i]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

function pseudo(packet: Uint8Array): Uint8Array {
  const length = packet.length - 20;
  return new Uint8Array([
    ...packet.subarray(12, 20),
    0,
    17,
    length >> 8,
    length & 255,
    ...packet.subarray(20),
  ]);
}
