/** What options the daemon asks for and sends, and what it makes of those of a lease. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { labWith, type ScriptedLab } from '../test/scripted-lab.ts';
import { giving, quad, usual } from '../test/scripted-server.ts';

/** All ask the same daemon, one after the other. */
let one: ScriptedLab;
beforeAll(async () => {
  one = await labWith();
});
afterAll(() => one[Symbol.asyncDispose]());
beforeEach(() => {
  one.server.heard.length = 0;
  one.server.script = giving('192.168.7.50');
});

function option(payload: Uint8Array | undefined): string {
  return Buffer.from(payload ?? []).toString('hex');
}

test.each([
  ['three options', [{ option: 'routers' }, { option: '121' }, { option: 'subnet-mask' }], '037901'],
  ['two options and no default ones', [{ skipDefault: true }, { option: '121' }, { option: '33' }], '7921'],
  ['no default ones at all', [{ skipDefault: true }], ''],
])('request: %s (dhcp 11)', async (_, request, wire) => {
  await one.lab.add(one.lab.container(), { ipam: { request } });
  expect(option(one.server.heard[0]!.message.options.get(55))).toBe(wire);
});

test('request: an unknown name, a number that is too large or none, and a number that is no text are errors, and no packet is sent (dhcp 11)', async () => {
  const container = one.lab.container();
  for (const bad of ['foo', '256', '-1']) {
    const { json, status } = await one.lab.call('ADD', container, { ipam: { request: [{ option: bad }] } });
    expect(status).toBe(1);
    expect(json.msg).toContain(`error calling DHCP.Allocate: Can not parse option "${bad}"`);
  }
  const { json } = await one.lab.call('ADD', container, { ipam: { request: [{ option: 3 }] } });
  expect(json).toMatchObject({ code: 7, msg: expect.stringContaining('ipam.request[0].option') });
  expect(one.server.heard).toEqual([]);
});

test('provide: text, numbers, CNI_ARGS over value and what is absent there, values with =, and an unknown argument that is nobody’s (dhcp 12, 13)', async () => {
  const { lab, server } = one;
  const provide = [
    { option: 'host-name', value: 'written', fromArg: 'pod' },
    { option: '60', value: 'vendor' },
    { option: 'user-class', value: 'kept', fromArg: 'absent' },
    { option: '120', value: 'x', fromArg: 'empty' },
  ];
  await lab.add(lab.container(), { ipam: { provide }, args: 'pod=a=1;empty=;Unknown=7;bad' });
  const { options } = server.heard[0]!.message;
  expect(Buffer.from(options.get(12)!).toString()).toBe('a=1');
  expect(Buffer.from(options.get(60)!).toString()).toBe('vendor');
  expect(Buffer.from(options.get(77)!).toString()).toBe('kept');
  expect(option(options.get(120)) + String(options.has(120))).toBe('true');
  const long = await lab.call('ADD', lab.container(), {
    ipam: { provide: [{ option: '12', value: 'x'.repeat(256) }] },
  });
  expect(long.json.msg).toContain('value too long for option "12"');
  const nameless = await lab.call('ADD', lab.container(), { ipam: { provide: [{ value: 'x' }] } });
  expect(nameless.json.msg).toContain('Can not parse option ""');
});

test('options 33 of every class with two bytes too many, then the default route (dhcp 14)', async () => {
  const routes = `${quad('10.1.2.0', '192.168.7.2', '172.16.0.0', '192.168.7.3', '192.168.9.0', '192.168.7.4', '224.1.2.0', '192.168.7.5')}0102`;
  one.server.script = giving('192.168.7.50', { ...usual, 33: routes });
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes.map(({ dst, gw }) => `${dst} ${gw}`)).toEqual([
    '10.1.2.0/8 192.168.7.2',
    '172.16.0.0/16 192.168.7.3',
    '192.168.9.0/24 192.168.7.4',
    '224.1.2.0/24 192.168.7.5',
    '0.0.0.0/0 192.168.7.1',
  ]);
});

test('option 121: those routes alone, and on-link ones first, whatever their order (dhcp 15, trap 14)', async () => {
  const routes = `18c0a864${quad('192.168.7.1')}00${quad('192.168.7.1')}200a000001${quad('0.0.0.0')}0b0aff${quad('192.168.7.9')}`;
  one.server.script = giving('192.168.7.50', { ...usual, 33: quad('10.1.2.0', '192.168.7.2'), 121: routes });
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes).toHaveLength(4);
  expect(json.routes[0]).toEqual({ dst: '10.0.0.1/32', gw: '0.0.0.0', scope: 253 });
  expect(json.routes).toEqual(
    expect.arrayContaining([
      { dst: '192.168.100.0/24', gw: '192.168.7.1' },
      { dst: '0.0.0.0/0', gw: '192.168.7.1' },
      { dst: expect.stringMatching(/^10\.255\.0\.0\/11$/), gw: '192.168.7.9' },
    ]),
  );
});

test('an answer of more than 576 bytes, with an option of more than 255 in pieces (trap 22)', async () => {
  const routes = Array.from(
    { length: 60 },
    (_, i) => `180a00${(i + 1).toString(16).padStart(2, '0')}${quad('192.168.7.1')}`,
  );
  one.server.script = giving('192.168.7.50', { ...usual, 121: routes.join('') });
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes).toHaveLength(60);
  expect(json.routes[59]).toEqual({ dst: '10.0.60.0/24', gw: '192.168.7.1' });
});

test.each([
  ['a width of 33', `21c0a86400${quad('192.168.7.1')}`],
  ['cut off', '18c0a864c0a8'],
])('option 121 with %s counts as absent (dhcp 16)', async (_, routes) => {
  one.server.script = giving('192.168.7.50', { ...usual, 33: quad('10.1.2.0', '192.168.7.2'), 121: routes });
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes.map(({ dst }) => dst)).toEqual(['10.1.2.0/8', '0.0.0.0/0']);
});

test('an OFFER with the broadcast flag: the REQUEST has it too; with broadcast asked for, both have it (dhcp 19)', async () => {
  const { lab, server } = one;
  server.script = ({ kind }) => ({
    kind: kind === 'discover' ? 'offer' : 'ack',
    address: '192.168.7.50',
    flags: 0x8000,
    options: usual,
  });
  await lab.add(lab.container());
  expect(server.heard.map(({ message }) => message.flags)).toEqual([0, 0x8000]);
  server.heard.length = 0;
  await lab.add(lab.container(), { ipam: { broadcast: true } });
  expect(server.heard.map(({ message }) => message.flags)).toEqual([0x8000, 0x8000]);
});

test('DNS, MTU and NTP of the lease are asked for and given when they are to be used (trap 16)', async () => {
  const more = {
    6: quad('192.168.7.53', '192.168.7.54'),
    15: Buffer.from('example.org').toString('hex'),
    26: '0578',
    42: quad('192.168.7.123'),
  };
  one.server.script = giving('192.168.7.50', { ...usual, ...more });
  const { lab, server } = one;
  const { json } = await lab.succeed('ADD', lab.container(), { ipam: { use: ['dns', 'mtu', 'ntp'] } });
  expect(option(server.heard[0]!.message.options.get(55))).toBe('0301060f771a2a');
  expect(json.dns).toMatchObject({ nameservers: ['192.168.7.53', '192.168.7.54'], domain: 'example.org' });
  expect(json.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1', mtu: 1400 }]);
  expect(json.ntp).toEqual(['192.168.7.123']);
  const without = await lab.succeed('ADD', lab.container());
  expect(without.json.dns ?? {}).toEqual({});
});

test('routes of the configuration come after the lease’s (trap 13)', async () => {
  const routes = [{ dst: '10.0.0.0/28', gw: '192.168.7.9' }];
  const { json } = await one.lab.succeed('ADD', one.lab.container(), { ipam: { routes } });
  expect(json.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1' }, ...routes]);
});
