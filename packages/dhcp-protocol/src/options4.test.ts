import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDomainName, readDomainNames, writeDomainNames } from './domain-names.ts';
import { fromHex, toHex } from './hex.ts';
import { codeOf4, type OptionName4, type RawOptions4, readOption4, writeOption4 } from './options4.ts';

function read<N extends OptionName4>(name: N, hex: string) {
  return readOption4(new Map([[codeOf4(name), fromHex(hex.replaceAll(' ', ''))!]]), name);
}

describe('an option of the wrong length is absent', () => {
  test.each<[OptionName4, string, unknown]>([
    ['subnetMask', 'ffffff00', '255.255.255.0'],
    ['subnetMask', 'ffff', undefined],
    ['routers', 'c0a80701 c0a80702', ['192.168.7.1', '192.168.7.2']],
    ['routers', 'c0a80701 c0', undefined],
    ['routers', '', undefined],
    ['dnsServers', '08080808', ['8.8.8.8']],
    ['ntpServers', '0a000001 0a', undefined],
    ['mtu', '05dc', 1500],
    ['mtu', '05', undefined],
    ['leaseTime', 'ffffffff', 0xffffffff],
    ['leaseTime', '00000e', undefined],
    ['messageType', '05', 5],
    ['messageType', '', undefined],
    ['domainName', '6578616d706c652e6f726700', 'example.org'],
    ['domainName', '00', undefined],
    ['message', '6e6f', 'no'],
  ])('%s %s', (name, hex, expected) => {
    expect(read(name, hex)).toEqual(expected);
  });
});

describe('classless routes (RFC 3442)', () => {
  test('have as many bytes of their destination as the prefix needs, and keep what is beyond it (dhcp 15)', () => {
    expect(
      read('classlessRoutes', '18 0a0102 c0a80701 00 c0a80702 20 01020304 00000000 0b 0aff c0a80703'),
    ).toEqual([
      { destination: '10.1.2.0/24', gateway: '192.168.7.1' },
      { destination: '0.0.0.0/0', gateway: '192.168.7.2' },
      { destination: '1.2.3.4/32', gateway: '0.0.0.0' },
      { destination: '10.255.0.0/11', gateway: '192.168.7.3' },
    ]);
  });

  test.each([
    ['a prefix of 33', '21 0a01020304 c0a80701'],
    ['a list cut short', '18 0a0102 c0a807'],
    ['none', ''],
  ])('are absent: %s (dhcp 16)', (_, hex) => {
    expect(read('classlessRoutes', hex)).toBeUndefined();
  });
});

test('routes without masks have those of their classes; bytes left over are left out (dhcp 14)', () => {
  const pairs = '0a010203 c0a80701 ac100500 c0a80702 c0a80900 c0a80703 e0000001 c0a80704 0102';
  expect(read('staticRoutes', pairs)).toEqual([
    { destination: '10.1.2.3/8', gateway: '192.168.7.1' },
    { destination: '172.16.5.0/16', gateway: '192.168.7.2' },
    { destination: '192.168.9.0/24', gateway: '192.168.7.3' },
    { destination: '224.0.0.1/24', gateway: '192.168.7.4' },
  ]);
});

describe('domain search (RFC 3397)', () => {
  const ascii = (text: string) => toHex(new TextEncoder().encode(text));
  const label = (text: string) => `${text.length.toString(16).padStart(2, '0')}${ascii(text)}`;

  test('reads the example of section 2, with its pointers', () => {
    const eng = `${label('eng')}${label('apple')}${label('com')}00`;
    expect(read('domainSearch', `${eng}${label('marketing')}c004`)).toEqual([
      'eng.apple.com',
      'marketing.apple.com',
    ]);
  });

  test.each([
    ['a pointer to itself', `${label('a')}c002`],
    ['two pointers to each other', `${label('a')}c004c000`],
    ['a pointer forward', `c0020161 00`],
    ['a pointer cut short', `${label('a')}c0`],
    ['a pointer past the end', `${label('a')}c0ff`],
    ['a label past the end', '0561'],
    ['a name without an end', label('a')],
    ['a reserved kind of label', '80'],
    ['a line break in a label', '03610a6200'],
    ['a dot in a label', '03612e6200'],
    ['a name above 253 characters', `${label('a'.repeat(63)).repeat(4)}00`],
    ['nothing but roots', '0000'],
  ])('is absent: %s', (_, hex) => {
    expect(read('domainSearch', hex)).toBeUndefined();
  });

  test('is absent where short pointers make a list of a great length', () => {
    const name = `${label('a'.repeat(60))}00`;
    expect(read('domainSearch', name + 'c000'.repeat(127))).toHaveLength(128);
    expect(read('domainSearch', name + 'c000'.repeat(128))).toBeUndefined();
  });

  test('any bytes are read or not, and never for long', () => {
    const likely = fc.oneof(fc.constantFrom(0, 1, 2, 0xc0, 0xc1, 0x61), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(likely, { maxLength: 600 }), fc.boolean(), (list, compressed) => {
        const names = readDomainNames(Uint8Array.from(list), compressed);
        for (const name of names ?? []) expect(isDomainName(name)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('any names that are written are read as they were', () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
    const name = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('.'));
    fc.assert(
      fc.property(fc.array(name, { maxLength: 20 }), (names) => {
        expect(readDomainNames(writeDomainNames(names), false)).toEqual(names);
      }),
    );
  });

  test('a name that is none is not written', () => {
    for (const name of ['', '.', 'a..b', 'a b', 'a.', 'x'.repeat(64), 'ä']) {
      expect(() => writeDomainNames([name]), name).toThrow(RangeError);
    }
  });
});

describe('what is written is read as it was', () => {
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const addresses = fc.array(fc.ipV4(), { minLength: 1, maxLength: 5 });
  const network = fc
    .tuple(fc.ipV4(), fc.integer({ min: 25, max: 32 }))
    .map(([ip, prefix]) => `${ip}/${prefix}`);
  const routes = fc.array(fc.record({ destination: network, gateway: fc.ipV4() }), { minLength: 1 });
  const values: Partial<Record<OptionName4, fc.Arbitrary<unknown>>> = {
    subnetMask: fc.ipV4(),
    routers: addresses,
    mtu: fc.integer({ min: 0, max: 0xffff }),
    leaseTime: u32,
    messageType: fc.integer({ min: 0, max: 255 }),
    hostName: fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => !text.includes('\0') && text.isWellFormed()),
    clientId: fc.uint8Array(),
    classlessRoutes: routes,
    classlessRoutesMicrosoft: routes,
  };
  test.each(Object.keys(values) as OptionName4[])('%s', (name) => {
    fc.assert(
      fc.property(values[name]!, (value) => {
        const options: RawOptions4 = new Map();
        writeOption4(options, name, value as never); // reason: the arbitrary of this name makes values of its kind
        expect(readOption4(options, name)).toEqual(value);
      }),
    );
  });

  test('and an address that is none is refused', () => {
    expect(() => writeOption4(new Map(), 'serverId', '::1')).toThrow('"::1" is no IPv4 address');
    expect(() =>
      writeOption4(new Map(), 'classlessRoutes', [{ destination: '10.0.0.0/33', gateway: '10.0.0.1' }]),
    ).toThrow('"10.0.0.0/33" is no IPv4 network');
  });
});
