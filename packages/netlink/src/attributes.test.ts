import { expect, test } from 'vitest';
import { attributes, nest, select } from './attributes.ts';
import { asciiz, be16, bytes, flag, flags, ip, list, oneOf, struct, u8, u16, u32 } from './codec.ts';
import { message } from './message.ts';
import { Writer } from './writer.ts';

const header = struct({ family: u8, padding: u8, index: u16 });
const kinds = { vlan: attributes('V_', { id: [1, u16], protocol: [5, be16] }), plain: attributes('P_', {}) };
const table = attributes('T_', {
  name: [3, asciiz],
  many: [4, list(u32)],
  here: [5, flag],
  mode: [6, oneOf(u32, { private: 1, bridge: 4 })],
  bits: [7, flags(u8, { up: 1, down: 2 })],
  own: [8, ip],
  raw: [9, bytes],
  info: [18, select({ kind: 1, data: 2 }, kinds)],
  inner: [20, nest(attributes('I_', { value: [1, u8] }))],
});
const kind = message(header, table);

function written(value: Parameters<typeof kind.write>[1]): string {
  const writer = new Writer(4);
  kind.write(writer, value);
  return Buffer.from(writer.result()).toString('hex');
}

function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

test('attributes are written with length, number and padding to four bytes', () => {
  expect(written({ family: 7, name: 'eth0' })).toBe('07000000' + '0900030065746830' + '00000000');
});

test('a nested table carries the nested flag and its own attributes', () => {
  expect(written({ inner: { value: 5 } })).toBe('00000000' + '0c001480' + '0500010005000000');
});

test('what was written reads back, every kind of value', () => {
  const value = {
    family: 2,
    padding: 0,
    index: 515,
    name: 'veth0',
    many: [1, 2, 4294967295],
    here: true as const,
    mode: 'bridge' as const,
    bits: { up: true, rest: 0x40 },
    own: { family: 4 as const, bytes: Uint8Array.of(10, 1, 2, 3) },
    raw: Uint8Array.of(1, 2, 3),
    info: { kind: 'vlan' as const, data: { id: 100, protocol: 0x8100 } },
    inner: { value: 5 },
  };
  const writer = new Writer();
  kind.write(writer, value);
  expect(kind.read(writer.result())).toEqual(value);
});

test('attributes without a line in the table are kept and written back', () => {
  const bytesIn = fromHex('00000000' + '0600630001020000');
  const value = kind.read(bytesIn);
  expect(value.unknown).toEqual([{ type: 0x63, bytes: Uint8Array.of(1, 2) }]);
  expect(written(value)).toBe('00000000' + '0600630001020000');
});

test('a kind without a table keeps its data as bytes', () => {
  const bytesIn = fromHex('00000000' + '18001280' + '0800010066697265' + '0900020001020304' + '05000000');
  expect(kind.read(bytesIn).info).toEqual({ kind: 'fire', data: Uint8Array.of(1, 2, 3, 4, 5) });
});

test('a number without a word is shown by its number and can be written', () => {
  const value = kind.read(fromHex('00000000' + '0800060009000000'));
  expect(value.mode).toBe('#9');
  expect(written(value)).toBe('00000000' + '0800060009000000');
});

test('a cut-off attribute ends the walk instead of reading beyond the message', () => {
  expect(kind.read(fromHex('00000000' + '4000030065746830'))).toEqual({
    family: 0,
    padding: 0,
    index: 0,
  });
});
