/** What the daemon says on the wire, and what it makes of what it hears, with a server that the test writes. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Call, until } from '../test/dhcp-lab.ts';
import { labWith } from '../test/scripted-lab.ts';
import { giving, packetWith, quad, seconds, usual } from '../test/scripted-server.ts';

function option(payload: Uint8Array | undefined): string {
  return Buffer.from(payload ?? []).toString('hex');
}

test('DISCOVER, REQUEST and RELEASE are what the reference sends, the RELEASE from the leased address (dhcp 2, 4)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  const container = lab.container();
  const call: Call = { id: 'c1' };
  expect(await lab.add(container, call)).toBe('192.168.7.50/24');
  const id = `00${Buffer.from('c1/mynet/eth0').toString('hex')}`;
  const [discover, request] = server.heard;
  const mac = JSON.parse(container.sh('ip -j link show eth0'))[0].address.replaceAll(':', '');
  expect(server.kinds).toEqual(['discover', 'request']);
  for (const heard of [discover!, request!]) {
    expect(heard.payload.length).toBe(300);
    expect(heard.source).toBe('0.0.0.0');
    expect(heard.destination).toBe('255.255.255.255');
    expect(heard.mac).toBe(mac);
    expect(option(heard.message.chaddr)).toBe(mac);
    expect(heard.message.flags).toBe(0);
    expect(option(heard.message.options.get(55))).toBe('0301');
    expect(option(heard.message.options.get(57))).toBe('05dc');
    expect(option(heard.message.options.get(61))).toBe(id);
  }
  expect([...discover!.message.options.keys()].toSorted((a, b) => a - b)).toEqual([53, 55, 57, 61]);
  expect([...request!.message.options.keys()].toSorted((a, b) => a - b)).toEqual([50, 53, 54, 55, 57, 61]);
  expect(option(request!.message.options.get(50))).toBe(quad('192.168.7.50'));
  expect(option(request!.message.options.get(54))).toBe(quad('192.168.7.1'));
  expect(request!.message.xid).toBe(discover!.message.xid);
  await lab.succeed('DEL', container, call);
  await until(() => server.kinds.includes('release'), 'a release');
  const [release] = server.of('release');
  expect(release!.message.ciaddr).toBe('192.168.7.50');
  expect(release!.source).toBe('192.168.7.50');
  expect(release!.destination).toBe('192.168.7.1');
  expect([...release!.message.options.keys()].toSorted((a, b) => a - b)).toEqual([53, 54, 61]);
});

test.each([
  ['three options', [{ option: 'routers' }, { option: '121' }, { option: 'subnet-mask' }], '037901'],
  ['two options and no default ones', [{ skipDefault: true }, { option: '121' }, { option: '33' }], '7921'],
  ['no default ones at all', [{ skipDefault: true }], ''],
])('request: %s (dhcp 11)', async (_, request, wire) => {
  await using one = await labWith();
  await one.lab.add(one.lab.container(), { ipam: { request } });
  expect(option(one.server.heard[0]!.message.options.get(55))).toBe(wire);
});

test('request: an unknown name, a number that is too large or none, and a number that is no text are errors, and no packet is sent (dhcp 11)', async () => {
  await using one = await labWith();
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
  await using one = await labWith();
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

test('a container ID of 300 characters: option 61 has 255 bytes, and DEL finds the lease (dhcp 26)', async () => {
  await using one = await labWith();
  const container = one.lab.container();
  const id = 'x'.repeat(300);
  await one.lab.add(container, { id });
  expect(one.server.heard[0]!.message.options.get(61)).toHaveLength(255);
  await one.lab.succeed('DEL', container, { id });
  await until(() => one.server.kinds.includes('release'), 'a release');
});

test('options 33 of every class with two bytes too many, then the default route (dhcp 14)', async () => {
  const routes = `${quad('10.1.2.0', '192.168.7.2', '172.16.0.0', '192.168.7.3', '192.168.9.0', '192.168.7.4', '224.1.2.0', '192.168.7.5')}0102`;
  await using one = await labWith(giving('192.168.7.50', { ...usual, 33: routes }));
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
  await using one = await labWith(
    giving('192.168.7.50', { ...usual, 33: quad('10.1.2.0', '192.168.7.2'), 121: routes }),
  );
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
  await using one = await labWith(giving('192.168.7.50', { ...usual, 121: routes.join('') }));
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes).toHaveLength(60);
  expect(json.routes[59]).toEqual({ dst: '10.0.60.0/24', gw: '192.168.7.1' });
});

test.each([
  ['a width of 33', `21c0a86400${quad('192.168.7.1')}`],
  ['cut off', '18c0a864c0a8'],
])('option 121 with %s counts as absent (dhcp 16)', async (_, routes) => {
  await using one = await labWith(
    giving('192.168.7.50', { ...usual, 33: quad('10.1.2.0', '192.168.7.2'), 121: routes }),
  );
  const { json } = await one.lab.succeed('ADD', one.lab.container());
  expect(json.routes.map(({ dst }) => dst)).toEqual(['10.1.2.0/8', '0.0.0.0/0']);
});

test('without a router there is neither gateway nor route; without a mask ADD fails and the lease is given back (dhcp 17)', async () => {
  await using one = await labWith(giving('192.168.7.50', { 1: quad('255.255.255.0'), 51: seconds(3600) }));
  const { lab, server } = one;
  const { json } = await lab.succeed('ADD', lab.container());
  expect(json.ips).toEqual([{ address: '192.168.7.50/24' }]);
  expect(json.routes ?? []).toEqual([]);
  server.script = giving('192.168.7.51', { 1: 'ffff', 51: seconds(3600) });
  const failed = await lab.call('ADD', lab.container());
  expect(failed.json.msg).toBe('error calling DHCP.Allocate: DHCP option Subnet Mask not found in DHCPACK');
  await until(() => server.kinds.includes('release'), 'a release');
  expect(lab.kept).toHaveLength(1);
});

test('an ACK of another server is not ours; a NAK begins anew with a DISCOVER (dhcp 18, trap 9)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  let naks = 0;
  server.script = ({ kind }) => {
    if (kind === 'discover') return { kind: 'offer', address: '192.168.7.50', options: usual };
    if (naks++ === 0) return { kind: 'nak' };
    return [
      { kind: 'ack', address: '192.168.7.99', server: '192.168.7.2', options: usual },
      { kind: 'nak', server: '192.168.7.3' },
      { kind: 'ack', address: '192.168.7.50', options: usual },
    ];
  };
  expect(await lab.add(lab.container())).toBe('192.168.7.50/24');
  expect(server.kinds).toEqual(['discover', 'request', 'discover', 'request']);
});

test('an OFFER with the broadcast flag: the REQUEST has it too; with broadcast asked for, both have it (dhcp 19)', async () => {
  await using one = await labWith();
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

test('malformed packets of any kind: the daemon lives, and an ADD succeeds meanwhile (trap 3)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  const script = giving('192.168.7.50');
  server.script = (heard, own) => {
    for (let length = 20; length < 28; length++)
      own.send(packetWith(new Uint8Array(300), undefined, 308, length));
    for (const length of [0, 7, 8, 9, 65535]) own.send(packetWith(new Uint8Array(300), undefined, length));
    for (const size of [0, 1, 7, 236, 239, 240, 241, 300])
      own.send(packetWith(heard.payload.subarray(0, size)));
    const truncated = Buffer.from(heard.payload.subarray(0, 243));
    truncated[242] = 200;
    own.send(packetWith(truncated));
    return script(heard, own);
  };
  expect(await lab.add(lab.container())).toBe('192.168.7.50/24');
  expect(await lab.add(lab.container())).toBe('192.168.7.50/24');
});

test('no answer: no more tries, after the time that the flags give, and DEL succeeds (dhcp 6)', async () => {
  await using one = await labWith(() => undefined);
  const container = one.lab.container();
  const start = Date.now();
  const { json } = await one.lab.call('ADD', container, { config: { bridge: 'br0' } });
  expect(json.msg).toMatch(/^error calling DHCP\.Allocate: no more tries/);
  expect(Date.now() - start).toBeGreaterThan(2500);
  expect(Date.now() - start).toBeLessThan(8000);
  // Trap 19.
  expect(json.msg).toContain('bridge br0 has no port that leads out');
  expect(one.server.of('discover').length).toBeGreaterThan(2);
  await one.lab.succeed('DEL', container);
  expect(one.lab.kept).toEqual([]);
});

test('a plugin that is killed while it waits: nothing is asked for any more and no lease is kept (trap 6)', async () => {
  await using one = await labWith(() => undefined, ['-timeout', '200ms', '-resendtimeout', '60s']);
  const { lab, server, daemon } = one;
  const container = lab.container();
  const waiting = lab.spawnCall('ADD', container);
  await until(() => server.heard.length > 1, 'a DISCOVER', daemon.log);
  waiting.kill('SIGKILL');
  await until(() => daemon.log().includes('has gone'), 'the end', daemon.log);
  server.heard.length = 0;
  server.script = giving('192.168.7.50');
  await pause(1500);
  expect(server.heard).toEqual([]);
  expect(lab.kept).toEqual([]);
});

test('DNS, MTU and NTP of the lease are asked for and given when they are to be used (trap 16)', async () => {
  const more = {
    6: quad('192.168.7.53', '192.168.7.54'),
    15: Buffer.from('example.org').toString('hex'),
    26: '0578',
    42: quad('192.168.7.123'),
  };
  await using one = await labWith(giving('192.168.7.50', { ...usual, ...more }));
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
  await using one = await labWith();
  const routes = [{ dst: '10.0.0.0/28', gw: '192.168.7.9' }];
  const { json } = await one.lab.succeed('ADD', one.lab.container(), { ipam: { routes } });
  expect(json.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1' }, ...routes]);
});

test('with clientId "pod" two containers of a pod are one client to the server, one after the other (trap 8)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  const given: Call = { ipam: { clientId: 'pod' }, args: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0' };
  const [first, second] = [lab.container(), lab.container()];
  await lab.add(first, given);
  await lab.succeed('DEL', first, given);
  await lab.add(second, given);
  expect(new Set(server.heard.map(({ message }) => option(message.options.get(61)))).size).toBe(1);
  const nameless = await lab.call('ADD', lab.container(), { ipam: { clientId: 'pod' } });
  expect(nameless.json.msg).toContain('K8S_POD_NAME');
});

test('the link comes up late: nothing is sent before it has a carrier, and the lease comes within a second after (trap 23)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  const container = lab.container('late');
  lab.host.sh('ip link set p-late down');
  const added = lab.add(container);
  await pause(400);
  expect(server.heard).toEqual([]);
  lab.host.sh('ip link set p-late up');
  const start = Date.now();
  expect(await added).toBe('192.168.7.50/24');
  expect(Date.now() - start).toBeLessThan(1500);
  expect(server.kinds).toEqual(['discover', 'request']);
});
