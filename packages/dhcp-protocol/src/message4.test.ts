import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from './hex.ts';
import { MalformedPacket } from './malformed.ts';
import { decodeMessage4, encodeMessage4, type Message4 } from './message4.ts';
import { type RawOptions4, readOption4, writeOption4 } from './options4.ts';

const empty: Message4 = {
  op: 1,
  htype: 1,
  hops: 0,
  xid: 0,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: '0.0.0.0',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: bytes('020000000001'),
  sname: '',
  file: '',
  options: new Map(),
};

function bytes(text: string): Uint8Array {
  const found = fromHex(text.replaceAll(/\s/g, ''));
  if (found === undefined) throw new Error(`${text} is no hex`);
  return found;
}

/** A reply with these options, byte by byte; what lies in sname and file likewise. */
function packet(options: string, { sname = '', file = '' } = {}): Uint8Array {
  const head = `02 01 06 00 12345678 0000 0000 00000000 c0a80732 c0a80701 00000000 020000000001${'00'.repeat(10)}`;
  return bytes(`${head}${sname.padEnd(128, '0')}${file.padEnd(256, '0')} 63825363 ${options}`);
}

function decoded(options: string, more = {}): Record<string, string> {
  const found = decodeMessage4(packet(options, more)).options;
  return Object.fromEntries([...found].map(([code, payload]) => [code, toHex(payload)]));
}

describe('a message', () => {
  test('is written byte by byte as RFC 2131 draws it: options ascending, padded to 300 bytes (dhcp 2)', () => {
    const options: RawOptions4 = new Map();
    options.set(61, bytes('00 63312f6d796e65742f65746830'));
    writeOption4(options, 'maxMessageSize', 1500);
    writeOption4(options, 'requestList', Uint8Array.of(3, 1));
    writeOption4(options, 'messageType', 1);
    const written = encodeMessage4({ ...empty, xid: 0xdeadbeef, options });
    expect(written).toHaveLength(300);
    const head = `01010600 deadbeef 0000 0000 ${'00'.repeat(16)} 020000000001 ${'00'.repeat(10 + 64 + 128)}`;
    const area = '63825363 350101 37020301 390205dc 3d0e0063312f6d796e65742f65746830 ff';
    expect(toHex(written)).toBe(toHex(bytes(head + area)).padEnd(600, '0'));
  });

  test('is read field by field', () => {
    const text = (word: string) => toHex(new TextEncoder().encode(word));
    const read = decodeMessage4(packet('350105 ff', { sname: text('boot'), file: text('pxe.0') }));
    expect(read).toEqual({
      ...empty,
      op: 2,
      xid: 0x12345678,
      yiaddr: '192.168.7.50',
      siaddr: '192.168.7.1',
      sname: 'boot',
      file: 'pxe.0',
      options: new Map([[53, Uint8Array.of(5)]]),
    });
  });

  test('has option 82 last, as RFC 3046 wants', () => {
    const options = new Map([82, 53, 121].map((code) => [code, Uint8Array.of(1)]));
    expect(toHex(encodeMessage4({ ...empty, options })).slice(480, 500)).toBe('350101790101520101ff');
  });

  test('keeps nothing of the buffer it was read from', () => {
    const buffer = packet('360401020304 ff');
    const read = decodeMessage4(buffer);
    buffer.fill(0xee);
    expect(readOption4(read.options, 'serverId')).toBe('1.2.3.4');
    expect(toHex(read.chaddr)).toBe('020000000001');
  });
});

describe('options', () => {
  test('end where they say: what follows is not looked at (dhcp trap 3)', () => {
    expect(decoded('350105 ff 3604ffffffff')).toEqual({ 53: '05' });
  });

  test('may have padding between them', () => {
    expect(decoded('00 350105 0000 0100 ff00')).toEqual({ 53: '05', 1: '' });
  });

  test('longer than 255 bytes are split when written and joined when read (dhcp trap 22, RFC 3396)', () => {
    const long = new Uint8Array(600).map((_, i) => i);
    const written = encodeMessage4({ ...empty, options: new Map([[121, long]]) });
    expect([written[240], written[241], written[497], written[498], written[754], written[755]]).toEqual([
      121, 255, 121, 255, 121, 90,
    ]);
    expect(decodeMessage4(written).options.get(121)).toEqual(long);
  });

  test('a repeated one is one, joined in the order options, file, sname (RFC 3396, section 7)', () => {
    const read = decoded('340103 0c0161 0c0162 ff', { file: '0c0163ff', sname: '0c016400' });
    expect(read).toEqual({ 12: '61626364' });
  });

  test.each([
    ['file', '340101 350105 ff', { 53: '05', 6: '01010101' }],
    ['sname', '340102 350105 ff', { 53: '05', 3: '02020202' }],
    ['both', '340103 350105 ff', { 53: '05', 6: '01010101', 3: '02020202' }],
    ['neither, by a value that is none', '340104 350105 ff', { 53: '05' }],
  ])('overload: %s (dhcp trap 22)', (_, options, expected) => {
    const areas = { file: '060401010101ff', sname: '030402020202ff' };
    expect(decoded(options, areas)).toEqual(expected);
  });

  test('fields that hold options are no names', () => {
    const read = decodeMessage4(packet('340103ff', { file: '0c0161ff', sname: '0c0162ff' }));
    expect([read.sname, read.file]).toEqual(['', '']);
  });

  test('that belong to the area itself are not written', () => {
    const options = new Map([0, 52, 255].map((code) => [code, Uint8Array.of(1)]));
    expect(decodeMessage4(encodeMessage4({ ...empty, options })).options).toEqual(new Map());
  });
});

describe('no message (dhcp trap 3)', () => {
  test.each([
    ['shorter than its header', packet('').subarray(0, 239), 'at least 240 bytes, and this has 239'],
    ['with the cookie alone', packet(''), 'the options of the DHCP message have no end'],
    ['of another cookie', packet('ff').fill(0, 236, 240), 'its cookie is 0, not 63825363'],
    ['with a hardware address of 17 bytes', packet('ff').fill(17, 2, 3), 'has 17 bytes, more than 16'],
    ['without an end', packet('350105'), 'no end (option 255)'],
    ['with an option that has no length', packet('3501053d'), 'option 61 of the DHCP message has no length'],
    [
      'with an option past the end',
      packet('0c0561ff'),
      'option 12 of the DHCP message has 5 bytes by its length',
    ],
    [
      'with an option past the end of file',
      packet('340101ff', { file: `${'00'.repeat(126)}0c01` }),
      'option 12 of the DHCP message has 1 bytes by its length, and 0 are left',
    ],
    ['that is empty', new Uint8Array(0), 'this has 0'],
  ])('%s', (_, payload, sentence) => {
    expect(() => decodeMessage4(payload)).toThrow(MalformedPacket);
    expect(() => decodeMessage4(payload)).toThrow(sentence);
  });

  test('is written: what does not fit its field is refused', () => {
    expect(() => encodeMessage4({ ...empty, chaddr: new Uint8Array(17) })).toThrow(RangeError);
    expect(() => encodeMessage4({ ...empty, sname: 'x'.repeat(65) })).toThrow(RangeError);
    expect(() => encodeMessage4({ ...empty, yiaddr: '1.2.3' })).toThrow('"1.2.3" is no IPv4 address');
  });
});

const byte = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const name = (maxLength: number) =>
  fc.array(fc.integer({ min: 1, max: 255 }), { maxLength }).map((codes) => String.fromCharCode(...codes));
const code = byte.filter((one) => one !== 0 && one !== 52 && one !== 255);
const options = fc.array(fc.tuple(code, fc.uint8Array({ maxLength: 700 })), { maxLength: 12 });
const anyMessage: fc.Arbitrary<Message4> = fc.record({
  op: byte,
  htype: byte,
  hops: byte,
  xid: fc.integer({ min: 0, max: 0xffffffff }),
  secs: u16,
  flags: u16,
  ciaddr: fc.ipV4(),
  yiaddr: fc.ipV4(),
  siaddr: fc.ipV4(),
  giaddr: fc.ipV4(),
  chaddr: fc.uint8Array({ maxLength: 16 }),
  sname: name(64),
  file: name(128),
  options: options.map((list) => new Map(list)),
});

describe('any', () => {
  test('message that is written is read as it was', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(decodeMessage4(encodeMessage4(message))).toEqual(message);
      }),
    );
  });

  test('bytes are read or refused, and what was read can be written', () => {
    const area = fc.array(fc.oneof(byte, fc.constantFrom(0, 1, 3, 52, 82, 119, 121, 255)), {
      maxLength: 400,
    });
    const tail = fc.tuple(area, fc.boolean()).map(([list, ends]) => (ends ? [...list, 255] : list));
    fc.assert(
      fc.property(tail, fc.uint8Array({ minLength: 192, maxLength: 192 }), (list, fields) => {
        const payload = new Uint8Array([...packet(''), ...list]);
        payload.set(fields, 44);
        const read = unlessMalformed(() => decodeMessage4(payload));
        if (read !== undefined) expect(decodeMessage4(encodeMessage4(read))).toEqual(read);
      }),
      { numRuns: 1000 },
    );
  });

  test('piece of a message is refused with the one error', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), byte, (message, place, value) => {
        const payload = encodeMessage4(message);
        payload[place % payload.length] = value;
        unlessMalformed(() => decodeMessage4(payload));
        unlessMalformed(() => decodeMessage4(payload.subarray(0, place % payload.length)));
      }),
    );
  });

  test('number of repeated options is joined in little time', () => {
    const many = new Uint8Array(60_000).fill(0);
    for (let i = 0; i < many.length; i += 3) many.set([12, 1, 0x61], i);
    const read = decodeMessage4(new Uint8Array([...packet(''), ...many, 255]));
    expect(read.options.get(12)).toHaveLength(20_000);
  });
});

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedPacket);
    return undefined;
  }
}
