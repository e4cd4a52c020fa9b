/** An address that somebody else has, although the server gives it. */
import { expect, test } from 'vitest';
import { until } from '../test/dhcp-lab.ts';
import { labWith } from '../test/scripted-lab.ts';
import { giving } from '../test/scripted-server.ts';

const ipam = { probe: true };

test('with probe nobody who asks the network is in the way of an ADD, and the address is asked for before it is used', async () => {
  await using one = await labWith(giving('192.168.7.50'));
  const start = Date.now();
  expect(await one.lab.add(one.lab.container(), { ipam })).toBe('192.168.7.50/24');
  expect(Date.now() - start).toBeGreaterThan(400);
  expect(one.server.kinds).toEqual(['discover', 'request']);
});

test('with probe an address that another host has is declined, and another one asked for; without, it is used', async () => {
  await using one = await labWith(giving('192.168.7.50'), ['-timeout', '300ms', '-resendtimeout', '60s']);
  const { lab, server, daemon } = one;
  const other = lab.container('other');
  other.sh('ip addr add 192.168.7.50/24 dev eth0');
  const mac = JSON.parse(other.sh('ip -j link show eth0'))[0].address;
  expect(await lab.add(lab.container(), { id: 'unasked' })).toBe('192.168.7.50/24');
  server.heard.length = 0;
  const container = lab.container();
  const added = lab.add(container, { ipam });
  await until(() => server.kinds.includes('decline'), 'a DECLINE', daemon.log);
  server.script = giving('192.168.7.51');
  const [decline] = server.of('decline');
  expect(Buffer.from(decline!.message.options.get(50)!).toString('hex')).toBe('c0a80732');
  expect(Buffer.from(decline!.message.options.get(54)!).toString('hex')).toBe('c0a80701');
  expect(decline!.source).toBe('0.0.0.0');
  expect(daemon.log()).toContain(`${mac} has 192.168.7.50, which the server gave: it is declined`);
  expect(await added).toBe('192.168.7.51/24');
  expect(server.kinds).toEqual(['discover', 'request', 'decline', 'discover', 'request']);
  const [, again] = server.of('discover');
  expect(again!.at - decline!.at).toBeGreaterThan(9000);
  await lab.succeed('DEL', container, { ipam });
  await until(() => server.kinds.includes('release'), 'a RELEASE', daemon.log);
  expect(lab.kept).toHaveLength(1);
});

test('a plugin that is killed while the address is asked for gets no lease, and the server has it back', async () => {
  await using one = await labWith(giving('192.168.7.50'));
  const { lab, server, daemon } = one;
  const waiting = lab.spawnCall('ADD', lab.container(), { ipam });
  await until(() => server.kinds.includes('request'), 'a REQUEST', daemon.log);
  waiting.kill('SIGKILL');
  await until(() => server.kinds.includes('release'), 'a RELEASE', daemon.log);
  expect(lab.kept).toEqual([]);
});
