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

test('a container ID of 300 characters: option 61 has 255 bytes, and DEL finds the lease (dhcp 26)', async () => {
  await using one = await labWith();
  const container = one.lab.container();
  const id = 'x'.repeat(300);
  await one.lab.add(container, { id });
  expect(one.server.heard[0]!.message.options.get(61)).toHaveLength(255);
  await one.lab.succeed('DEL', container, { id });
  await until(() => one.server.kinds.includes('release'), 'a release');
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
