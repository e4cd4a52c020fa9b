import { expect, test } from 'vitest';
import { GobError, GobReader, readUint } from './gob-reader.ts';
import { type GobObject, list, struct } from './gob-types.ts';
import { GobWriter } from './gob-writer.ts';
import { argumentsType, nothing, requestType, responseType, resultType } from './rpc-types.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** What a reader makes of a stream. */
function readAll(bytes: Uint8Array): GobObject[] {
  const reader = new GobReader();
  const values: GobObject[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = readUint(bytes, at)!;
    const value = reader.read(bytes.subarray(length.end, length.end + length.value));
    if (value) values.push(value);
    at = length.end + length.value;
  }
  return values;
}

const stdin = new Uint8Array(122).fill(0x20);
const sent = {
  ContainerID: 'r1',
  Netns: '/var/run/netns/hdhc',
  IfName: 'eth0',
  Args: 'K=V',
  Path: '/x',
  StdinData: stdin,
};

test('a request is, byte by byte, what the reference sends (dhcp 6.4)', () => {
  const writer = new GobWriter();
  const head = hex(writer.message(requestType, { ServiceMethod: 'DHCP.Allocate', Seq: 0 }));
  expect(head).toBe(
    '2e7f03010107526571756573740' +
      '1ff80000102010d536572766963654d6574686f64010c00010353657101060000' +
      '0012ff80010d444843502e416c6c6f6361746500',
  );
  const body = hex(writer.message(argumentsType, sent));
  expect(body.slice(0, 2)).toBe('6c');
  expect(body.slice(2).startsWith('ff81030101' + '07436d644172677301ff8200010')).toBe(true);
  const value = `ffa7ff82010272310113${hex(new TextEncoder().encode(sent.Netns))}01046574683001034b3d5601022f78027a${hex(stdin)}00`;
  expect(body.endsWith(value)).toBe(true);
});

test('an answer is, byte by byte, what the reference sends (dhcp 6.4)', () => {
  const writer = new GobWriter();
  writer.message(responseType, { ServiceMethod: 'DHCP.Allocate', Seq: 0 });
  const gateway = new Uint8Array([192, 168, 7, 1]);
  const any = new Uint8Array(4);
  const answer = writer.message(resultType, {
    IPs: [
      {
        Address: { IP: new Uint8Array([192, 168, 7, 7]), Mask: new Uint8Array([255, 255, 255, 0]) },
        Gateway: gateway,
      },
    ],
    Routes: [{ Dst: { IP: any, Mask: any }, GW: gateway }],
  });
  expect(
    hex(answer).endsWith(
      '33ff8203010201' +
        '04c0a807070104ffffff00000104c0a8070100010101010400000000010400000000000104c0a80701000100' +
        '00',
    ),
  ).toBe(true);
});

test('what is written is read again, whatever numbers the types have', () => {
  const inner = struct('Inner', { A: 'int', B: 'bytes' });
  const outer = struct('Outer', {
    Yes: 'bool',
    N: 'uint',
    Texts: list('[]string', 'string'),
    Inners: list('[]Inner', inner),
    Last: inner,
  });
  const value = {
    Yes: true,
    N: 300,
    Texts: ['a', '', 'ü'],
    Inners: [{ A: -5 }, {}],
    Last: { B: new Uint8Array([1, 2]) },
  };
  const writer = new GobWriter();
  const [, read] = [
    writer.message(nothing, {}),
    readAll(new Uint8Array([...new GobWriter().message(outer, value)])),
  ];
  expect(read).toEqual([value]);
});

test('fields that a reader does not know are skipped by name, and zero values are absent', () => {
  const type = struct('T', { New: 'string', Old: 'int', Zero: 'int' });
  expect(readAll(new GobWriter().message(type, { New: 'x', Old: 7, Zero: 0 }))).toEqual([
    { New: 'x', Old: 7 },
  ]);
});

test('every stream that is cut, or has a byte changed, is read or refused, and nothing else happens', () => {
  const bytes = new GobWriter().message(argumentsType, sent);
  let refused = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (const byte of [0, 1, 0x7f, 0x80, 0xf8, 0xff]) {
      const changed = bytes.slice();
      changed[at] = byte;
      try {
        const first = readUint(changed, 0);
        if (!first || first.end + first.value > changed.length) continue;
        readAll(changed.subarray(0, first.end + first.value));
      } catch (error) {
        expect(error).toBeInstanceOf(GobError);
        refused++;
      }
    }
  }
  expect(refused).toBeGreaterThan(0);
});

test('a type that contains itself cannot make a reader go down without end', () => {
  const type = { struct: 'Deep', fields: [] as [string, unknown][] };
  type.fields.push(['Next', type]);
  const body = [...new GobWriter().message(struct('Deep', { Next: struct('Deep2', {}) }), {})];
  expect(body.length).toBeGreaterThan(0);
  const reader = new GobReader();
  // Type 64: a struct whose only field is of type 64.
  reader.read(new Uint8Array([0x7f, 3, 1, 2, 0xff, 0x80, 0, 1, 1, 1, 1, 0x41, 1, 0xff, 0x80, 0, 0, 0]));
  expect(() => reader.read(new Uint8Array([0xff, 0x80, ...new Array(5000).fill(1)]))).toThrow(GobError);
});
