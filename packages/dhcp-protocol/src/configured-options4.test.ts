import { describe, expect, test } from 'vitest';
import {
  clientIdOf,
  OptionError,
  parseDhcpArgs,
  parseOptionCode,
  providedOptions4,
  requestedOptions4,
} from './configured-options4.ts';
import { toHex } from './hex.ts';

const none = new Map<string, string>();
const text = (payload: Uint8Array | undefined) => new TextDecoder().decode(payload);

describe('request (dhcp 11)', () => {
  test.each([
    ['nothing configured', [], [3, 1]],
    ['the defaults come after what is configured', [{ option: '121' }], [121, 3, 1]],
    [
      'defaults that are configured keep their place',
      [{ option: 'routers' }, { option: '121' }, { option: 'subnet-mask' }],
      [3, 121, 1],
    ],
    ['skipDefault drops them', [{ skipDefault: true }, { option: '121' }, { option: '33' }], [121, 33]],
    ['skipDefault alone asks for nothing', [{ skipDefault: true }], []],
    ['a number is as good as a name', [{ option: '3' }, { option: 'routers' }], [3, 1]],
    ['an empty option only carries skipDefault', [{ option: '', skipDefault: true }], []],
  ])('%s', (_, request, expected) => {
    expect(requestedOptions4(request)).toEqual(expected);
  });

  test('what is used besides comes last, each once', () => {
    expect(requestedOptions4([{ option: '6' }], [121, 6, 3, 249])).toEqual([6, 3, 1, 121, 249]);
  });

  test.each([
    [
      'foo',
      'Can not parse option "foo": Can not parse option: strconv.ParseUint: parsing "foo": invalid syntax',
    ],
    ['-1', 'parsing "-1": invalid syntax'],
    ['256', 'parsing "256": value out of range'],
    ['99999999999999999999', 'value out of range'],
  ])('%s is no option', (option, sentence) => {
    expect(() => requestedOptions4([{ option }])).toThrow(OptionError);
    expect(() => requestedOptions4([{ option }])).toThrow(sentence);
  });

  test.each([
    ['subnet-mask', 1],
    ['routers', 3],
    ['host-name', 12],
    ['vendor-class-identifier', 60],
    ['dhcp-client-identifier', 61],
    ['user-class', 77],
    ['0', 0],
    ['255', 255],
  ])('%s is option %i', (name, code) => {
    expect(parseOptionCode(name)).toBe(code);
  });
});

describe('provide (dhcp 12)', () => {
  const args = parseDhcpArgs('K=pod=1;EMPTY=;broken;IgnoreUnknown=1');

  test('CNI_ARGS are split at the first equals sign, and what has none is skipped (dhcp 13)', () => {
    expect([...args]).toEqual([
      ['K', 'pod=1'],
      ['EMPTY', ''],
      ['IgnoreUnknown', '1'],
    ]);
  });

  test.each([
    ['a text', { option: 'host-name', value: 'c1' }, { 12: 'c1' }],
    ['a number', { option: '60', value: 'acme' }, { 60: 'acme' }],
    ['an argument stands for the value', { option: '12', value: 'v', fromArg: 'K' }, { 12: 'pod=1' }],
    ['an argument that is missing does not', { option: '12', value: 'v', fromArg: 'k' }, { 12: 'v' }],
    ['an empty argument is an empty option', { option: '12', value: 'v', fromArg: 'EMPTY' }, { 12: '' }],
    ['neither', { option: '12', fromArg: 'x' }, {}],
  ])('%s', (_, entry, expected) => {
    const options = providedOptions4([entry], args);
    expect(Object.fromEntries([...options].map(([code, payload]) => [code, text(payload)]))).toEqual(
      expected,
    );
  });

  test('a later entry replaces an earlier one', () => {
    const options = providedOptions4(
      [
        { option: 'host-name', value: 'a' },
        { option: '12', value: 'b' },
      ],
      none,
    );
    expect(text(options.get(12))).toBe('b');
  });

  test.each([
    [{ option: '12', value: 'x'.repeat(256) }, `value too long for option "12": "${'x'.repeat(256)}"`],
    [
      { option: 'host-name', value: 'v', fromArg: 'LONG' },
      'value too long for option "host-name" from CNI_ARGS "LONG": "v"',
    ],
    [{ option: '', value: 'v' }, 'Can not parse option "": '],
  ])('%o is refused', (entry, sentence) => {
    expect(() => providedOptions4([entry], new Map([['LONG', 'y'.repeat(256)]]))).toThrow(sentence);
  });
});

describe('the client id', () => {
  test('is a zero byte and container, network and interface', () => {
    expect(toHex(clientIdOf('c1', 'mynet', 'eth0'))).toBe('0063312f6d796e65742f65746830');
  });

  test('is cut to 255 bytes (dhcp 26)', () => {
    const id = clientIdOf('x'.repeat(300), 'n', 'eth0');
    expect(id).toHaveLength(255);
    expect([id[0], id[1], id[254]]).toEqual([0, 0x78, 0x78]);
  });
});
