import { expect, test } from 'vitest';
import type { Result } from './result.ts';
import {
  convertResult,
  decodeAnyResult,
  decodeResult,
  newestResult,
  printResult,
  versionedResult,
} from './result-version.ts';

/** The result in another version as the JSON a plugin would print. */
function converted(version: string, result: Result): unknown {
  return JSON.parse(printResult(convertResult(versionedResult(result), version)));
}

/** What is left after reading and printing in one version. */
function readAndPrinted(version: string, result: object): unknown {
  return JSON.parse(printResult(decodeResult(version, { cniVersion: version, ...result })));
}

function refusal(work: () => unknown): { message: string; details: string; code: number } {
  let answer: unknown;
  try {
    answer = work();
  } catch (error) {
    // Every refusal here is a CniError; the assertions on its members would fail on anything else.
    return error as { message: string; details: string; code: number };
  }
  throw new Error(`accepted: ${JSON.stringify(answer)}`);
}

const address = { address: '10.1.2.3/24' };

test('an empty dns is left out in the newest form and written as {} in older ones (protocol 39)', () => {
  expect(converted('1.1.0', { ips: [address] })).toEqual({ cniVersion: '1.1.0', ips: [address] });
  expect(converted('0.4.0', { ips: [address] })).toEqual({
    cniVersion: '0.4.0',
    ips: [{ version: '4', ...address }],
    dns: {},
  });
  expect(converted('0.2.0', { ips: [address] })).toEqual({
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.2.3/24' },
    dns: {},
  });
});

test('mtu, socketPath and pciID of an interface are kept at 1.0.0 and lost at 0.4.0 (protocol 40)', () => {
  const base = { name: 'eth0', mac: '00:11:22:33:44:55', sandbox: '/run/netns/a' };
  const full = { ...base, mtu: 1400, socketPath: '/run/s', pciID: '0000:00:01.0' };
  expect(converted('1.0.0', { interfaces: [full] })).toEqual({ cniVersion: '1.0.0', interfaces: [full] });
  expect(converted('0.4.0', { interfaces: [full] })).toMatchObject({ interfaces: [base] });
  expect(readAndPrinted('0.4.0', { interfaces: [full] })).toMatchObject({ interfaces: [base] });
});

test('the newer members of a route are kept down to 0.3.0 and lost below (protocol 41)', () => {
  const route = {
    dst: '0.0.0.0/0',
    gw: '10.1.2.1',
    mtu: 1400,
    advmss: 1360,
    priority: 5,
    table: 9,
    scope: 253,
  };
  for (const version of ['1.0.0', '0.4.0', '0.3.1', '0.3.0']) {
    expect(converted(version, { ips: [address], routes: [route] })).toMatchObject({ routes: [route] });
  }
  for (const version of ['0.2.0', '0.1.0']) {
    expect(converted(version, { ips: [address], routes: [route] })).toEqual({
      cniVersion: version,
      ip4: { ip: '10.1.2.3/24', routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1' }] },
      dns: {},
    });
  }
});

test('the oldest form keeps the first address of each family (protocol 42)', () => {
  const ips = [{ address: '1.2.3.4/24' }, { address: '1.2.3.5/24' }, { address: 'abcd::1/64' }];
  expect(converted('0.2.0', { ips })).toEqual({
    cniVersion: '0.2.0',
    ip4: { ip: '1.2.3.4/24' },
    ip6: { ip: 'abcd::1/64' },
    dns: {},
  });
});

test('a route without an address of its family is lost in the oldest form', () => {
  const routes = [{ dst: '::/0' }, { dst: '10.0.0.0/8' }];
  expect(converted('0.2.0', { ips: [address], routes })).toMatchObject({
    ip4: { routes: [{ dst: '10.0.0.0/8' }] },
  });
  expect(converted('0.2.0', { ips: [address], routes })).not.toHaveProperty('ip6');
});

test('a result without addresses has no oldest form (protocol 43)', () => {
  for (const version of ['0.2.0', '0.1.0', '']) {
    const { message, details } = refusal(() => converted(version, { interfaces: [{ name: 'eth0' }] }));
    expect(message).toBe('cannot convert: no valid IP addresses');
    expect(details).toContain('set cniVersion to 0.3.0 or later');
  }
});

test('an oldest result without addresses has every form (protocol 43)', () => {
  const empty = decodeResult('0.2.0', {});
  for (const version of ['', '0.2.0', '0.3.0', '0.4.0', '1.0.0', '1.1.0']) {
    expect(convertResult(empty, version).cniVersion).toBe(version || '0.1.0');
  }
});

test('what cannot be said in another version is the code that the reference has for it', () => {
  const empty = versionedResult({});
  expect(refusal(() => convertResult(empty, '0.2.0')).code).toBe(999);
  expect(refusal(() => convertResult(empty, '9.9.9')).code).toBe(999);
});

test('the version text of an address decides where the oldest form puts it (protocol 44)', () => {
  const odd = decodeResult('0.4.0', { cniVersion: '0.4.0', ips: [{ version: '5', address: '1.2.3.4/24' }] });
  expect(refusal(() => convertResult(odd, '0.2.0')).message).toBe('cannot convert: no valid IP addresses');
  expect(newestResult(odd).ips).toEqual([{ address: '1.2.3.4/24' }]);
  const wrong = decodeResult('0.4.0', {
    cniVersion: '0.4.0',
    ips: [{ version: '6', address: '1.2.3.4/24' }],
  });
  expect(JSON.parse(printResult(convertResult(wrong, '0.2.0')))).toEqual({
    cniVersion: '0.2.0',
    ip6: { ip: '1.2.3.4/24' },
    dns: {},
  });
});

test('addresses and routes of the oldest form come out IPv4 first, with all members (protocol 45)', () => {
  const old = decodeResult('0.1.0', {
    ip6: { ip: 'fd00::2/64', gateway: 'fd00::1', routes: [{ dst: '::/0' }] },
    ip4: { ip: '10.1.2.3/24', routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1', mtu: 1400 }] },
  });
  expect(JSON.parse(printResult(convertResult(old, '0.3.1')))).toEqual({
    cniVersion: '0.3.1',
    ips: [
      { version: '4', address: '10.1.2.3/24' },
      { version: '6', address: 'fd00::2/64', gateway: 'fd00::1' },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1', mtu: 1400 }, { dst: '::/0' }],
    dns: {},
  });
});

test('0 is written where it means something and left out where it means nothing (protocol 46)', () => {
  const given = {
    interfaces: [{ name: '', mtu: 0 }],
    ips: [
      { ...address, interface: 0 },
      { address: 'fd00::2/64', interface: -1 },
    ],
    routes: [{ dst: '10.0.0.0/8', mtu: 0, advmss: 0, priority: 0, table: 0, scope: 0 }],
  };
  const expected = {
    cniVersion: '1.1.0',
    interfaces: [{ name: '' }],
    ips: given.ips,
    routes: [{ dst: '10.0.0.0/8', table: 0, scope: 0 }],
  };
  expect(readAndPrinted('1.1.0', given)).toEqual(expected);
  expect(converted('1.1.0', given)).toEqual(expected);
  expect(converted('1.1.0', newestResult(convertResult(versionedResult(given), '0.3.0')))).toEqual(expected);
});

test('the version inside a result may be another one of the same form (protocol 47)', () => {
  expect(decodeResult('1.0.0', { cniVersion: '1.1.0' }).cniVersion).toBe('1.1.0');
  expect(decodeResult('0.4.0', { cniVersion: '0.3.1' }).cniVersion).toBe('0.3.1');
  const text = 'result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is';
  expect(refusal(() => decodeResult('1.0.0', { cniVersion: '0.4.0' })).message).toBe(`${text} "0.4.0"`);
  expect(refusal(() => decodeResult('1.0.0', {})).message).toBe(`${text} ""`);
  expect(refusal(() => decodeResult('0.4.0', { cniVersion: '1.0.0' })).message).toBe(
    'result type supports [0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is "1.0.0"',
  );
});

test('an oldest result without a version is 0.1.0 (protocol 48)', () => {
  expect(decodeResult('0.2.0', {}).cniVersion).toBe('0.1.0');
  expect(decodeResult('', { cniVersion: '' }).cniVersion).toBe('0.1.0');
  expect(decodeResult('0.2.0', null).cniVersion).toBe('0.1.0');
  expect(refusal(() => decodeResult('0.2.0', { cniVersion: '0.3.1' })).message).toBe(
    'result type supports [ 0.1.0 0.2.0] but unmarshalled CNIVersion is "0.3.1"',
  );
});

test('a version nobody knows can be neither read nor written (protocol 49)', () => {
  expect(refusal(() => decodeResult('0.5.0', {})).message).toBe('unsupported CNI result version "0.5.0"');
  expect(refusal(() => converted('1.2.0', {})).message).toBe(
    'no converter for CNI result version 1.1.0 to 1.2.0',
  );
});

test('bad addresses are refused in the known words, and the details name the member (protocol 50)', () => {
  const read = (ip: object) => () => decodeResult('1.1.0', { cniVersion: '1.1.0', ips: [address, ip] });
  expect(refusal(read({ address: '1.2.3.4' }))).toMatchObject({
    code: 6,
    message: 'invalid CIDR address: 1.2.3.4',
    details: 'at ips[1].address',
  });
  expect(refusal(read({ ...address, gateway: 'x' }))).toMatchObject({
    code: 6,
    message: 'invalid IP address: x',
    details: 'at ips[1].gateway',
  });
  expect(read({ ...address, gateway: '' })()).toMatchObject({ ips: [address, address] });
});

test('an address that is missing or null is refused by its path', () => {
  const read = (result: object) => () => decodeResult('1.1.0', { cniVersion: '1.1.0', ...result });
  expect(refusal(read({ ips: [{}] })).message).toMatch(/^ips\[0\]\.address is missing: /);
  expect(refusal(read({ routes: [{ gw: '10.0.0.1' }] })).message).toMatch(/^routes\[0\]\.dst is missing: /);
  expect(refusal(() => decodeResult('0.2.0', { ip4: {} })).message).toMatch(/^ip4\.ip is missing: /);
  expect(refusal(read({ ips: [{ address: null }] }))).toMatchObject({
    message: 'invalid CIDR address: ',
    details: 'at ips[0].address',
  });
});

test('addresses become canonical, host bits stay (protocol 51)', () => {
  const ips = [{ address: '::ffff:1.2.3.4/120' }, { address: '2001:0DB8:0:0::1/64' }];
  const result = { ips, routes: [{ dst: '10.1.2.3/8', gw: '::FFFF:10.0.0.1' }] };
  expect(readAndPrinted('1.1.0', result)).toEqual({
    cniVersion: '1.1.0',
    ips: [{ address: '1.2.3.4/24' }, { address: '2001:db8::1/64' }],
    routes: [{ dst: '10.1.2.3/8', gw: '10.0.0.1' }],
  });
  const read = decodeResult('1.1.0', { cniVersion: '1.1.0', ...result });
  expect(convertResult(read, '0.4.0')).toMatchObject({ ips: [{ version: '4' }, { version: '6' }] });
});

test('members nobody knows are handed on, and `version` of an address is dropped from 1.0.0 on (protocol 52)', () => {
  const given = { ips: [{ ...address, version: '4', colour: 'red' }], ip4: { ip: 'x' }, weight: 5 };
  expect(readAndPrinted('1.0.0', given)).toEqual({
    cniVersion: '1.0.0',
    ips: [{ ...address, colour: 'red' }],
    weight: 5,
  });
});

test('members nobody knows are handed on at every level, by every conversion that keeps what they are in', () => {
  const more = { colour: 'red', deep: { list: [1, null] } };
  const given = {
    interfaces: [{ name: 'eth0', ...more }, { ...more }],
    ips: [{ ...address, interface: 0, ...more }],
    routes: [{ dst: '0.0.0.0/0', table: 5, ...more }],
    dns: { domain: 'd', ...more },
    ...more,
  };
  const expected = { ...given, interfaces: [given.interfaces[0], { name: '', ...more }] };
  expect(readAndPrinted('1.1.0', given)).toEqual({ ...expected, cniVersion: '1.1.0' });
  const read = decodeResult('1.1.0', { ...given, cniVersion: '1.1.0' });
  for (const version of ['1.0.0', '0.4.0', '0.3.0']) {
    const there = convertResult(read, version);
    expect(JSON.parse(printResult(there))).toMatchObject({ ...expected, cniVersion: version });
    const again = decodeResult(version, JSON.parse(printResult(there)));
    expect(JSON.parse(printResult(convertResult(again, '1.1.0')))).toEqual({
      ...expected,
      cniVersion: '1.1.0',
    });
    // As a plugin sees it and gives it back.
    expect(converted('1.1.0', newestResult(again))).toEqual({ ...expected, cniVersion: '1.1.0' });
  }
  expect(JSON.parse(printResult(convertResult(read, '0.2.0')))).toEqual({
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.2.3/24', routes: [{ dst: '0.0.0.0/0', ...more }], ...more },
    dns: { domain: 'd', ...more },
    ...more,
  });
});

test('a member of any name is just a member', () => {
  const odd = JSON.parse('{"__proto__": {"x": 1}, "toString": 5, "more": {"y": 2}}');
  const text = printResult(decodeResult('1.1.0', { cniVersion: '1.1.0', ...odd, interfaces: [odd] }));
  const printed = JSON.parse(text);
  expect(Object.keys(printed).sort()).toEqual(['__proto__', 'cniVersion', 'interfaces', 'more', 'toString']);
  expect(Object.keys(printed.interfaces[0]).sort()).toEqual(['__proto__', 'more', 'name', 'toString']);
});

test('members of the wrong type are refused by their path', () => {
  const message = (result: object) =>
    refusal(() => decodeResult('1.1.0', { cniVersion: '1.1.0', ...result })).message;
  expect(message({ ips: [null] })).toBe('ips[0]: expected an object, got null');
  expect(message({ interfaces: [{ name: 'a' }, null] })).toBe('interfaces[1]: expected an object, got null');
  expect(message({ routes: [null] })).toBe('routes[0]: expected an object, got null');
  expect(message({ ips: {} })).toBe('ips: expected a list, got {}');
  expect(message({ ips: [{ ...address, interface: '0' }] })).toBe(
    'ips[0].interface: expected an integer, got "0"',
  );
  expect(message({ interfaces: [{ mtu: 1.5 }] })).toBe('interfaces[0].mtu: expected an integer, got 1.5');
  expect(message({ ips: [{ address: 5 }] })).toBe('ips[0].address: expected a string, got 5');
  expect(message({ dns: { nameservers: ['1.1.1.1', null] } })).toBe(
    'dns.nameservers[1]: expected a string, got null',
  );
  expect(message({ cniVersion: 5 })).toBe('cniVersion: expected a string, got 5');
  expect(refusal(() => decodeResult('1.1.0', [])).message).toBe('result: expected an object, got []');
});

test('null members count as absent', () => {
  const given = { interfaces: null, ips: [{ ...address, gateway: null, interface: null }], dns: null };
  expect(readAndPrinted('1.1.0', given)).toEqual({ cniVersion: '1.1.0', ips: [address] });
});

test('a result read without a given version is read by its own', () => {
  expect(decodeAnyResult({ ip4: { ip: '10.1.2.3/24' } })).toMatchObject({
    shape: '0.1.0',
    cniVersion: '0.1.0',
  });
  expect(decodeAnyResult({ cniVersion: '0.3.1' })).toMatchObject({ shape: '0.3.0', cniVersion: '0.3.1' });
  expect(decodeAnyResult({ cniVersion: '1.0.0' })).toMatchObject({ shape: '1.0.0', cniVersion: '1.0.0' });
  const { code, message } = refusal(() => decodeAnyResult({ cniVersion: 5 }));
  expect([code, message]).toEqual([
    6,
    'decoding version from network config: cniVersion: expected a string, got 5',
  ]);
  expect(refusal(() => decodeAnyResult({ cniVersion: '0.4567.0' })).message).toBe(
    'unsupported CNI result version "0.4567.0"',
  );
});

const everything: Result = {
  interfaces: [
    { name: 'eth0', mac: '00:11:22:33:44:55', mtu: 1500, sandbox: '/s', socketPath: '/p', pciID: '1' },
  ],
  ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 0 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1', mtu: 1400, advmss: 1, priority: 2, table: 3, scope: 0 }],
  dns: { nameservers: ['1.1.1.1'], domain: 'd', search: ['s'], options: ['o'] },
};

test('the newest form is printed by the alphabet, indented by four, without a final newline (protocol 54)', () => {
  expect(printResult(versionedResult(everything))).toBe(`{
    "cniVersion": "1.1.0",
    "dns": {
        "domain": "d",
        "nameservers": [
            "1.1.1.1"
        ],
        "options": [
            "o"
        ],
        "search": [
            "s"
        ]
    },
    "interfaces": [
        {
            "mac": "00:11:22:33:44:55",
            "mtu": 1500,
            "name": "eth0",
            "pciID": "1",
            "sandbox": "/s",
            "socketPath": "/p"
        }
    ],
    "ips": [
        {
            "address": "10.1.2.3/24",
            "gateway": "10.1.2.1",
            "interface": 0
        }
    ],
    "routes": [
        {
            "advmss": 1,
            "dst": "0.0.0.0/0",
            "gw": "10.1.2.1",
            "mtu": 1400,
            "priority": 2,
            "scope": 0,
            "table": 3
        }
    ]
}`);
});

test('older forms are printed in the order the reference declares them (protocol 54)', () => {
  const inOrder = (version: string) =>
    printResult(convertResult(versionedResult(everything), version)).replaceAll(/\s/g, '');
  expect(inOrder('0.4.0')).toBe(
    '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","mac":"00:11:22:33:44:55","sandbox":"/s"}],' +
      '"ips":[{"version":"4","interface":0,"address":"10.1.2.3/24","gateway":"10.1.2.1"}],' +
      '"routes":[{"dst":"0.0.0.0/0","gw":"10.1.2.1","mtu":1400,"advmss":1,"priority":2,"table":3,"scope":0}],' +
      '"dns":{"nameservers":["1.1.1.1"],"domain":"d","search":["s"],"options":["o"]}}',
  );
  expect(inOrder('0.1.0')).toBe(
    '{"cniVersion":"0.1.0","ip4":{"ip":"10.1.2.3/24","gateway":"10.1.2.1",' +
      '"routes":[{"dst":"0.0.0.0/0","gw":"10.1.2.1"}]},' +
      '"dns":{"nameservers":["1.1.1.1"],"domain":"d","search":["s"],"options":["o"]}}',
  );
});

test('an empty result of an older form is printed with an empty dns', () => {
  expect(JSON.parse(printResult(decodeResult('0.4.0', { cniVersion: '0.4.0' })))).toEqual({
    cniVersion: '0.4.0',
    dns: {},
  });
});
