/** Leases of seconds: what becomes of them when servers and links go their ways. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../test/dhcp-lab.ts';
import { addresses, configure, isUp, labWith, lasting } from '../test/scripted-lab.ts';
import { giving, type Saying, seconds } from '../test/scripted-server.ts';

test('a lease without T1 and T2 is renewed at half its time, from the container’s address and its MAC, with the address in ciaddr alone (dhcp 20, trap 10)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(4)));
  const { lab, server } = one;
  const container = lab.container();
  configure(container, await lab.add(container));
  // Somebody else in the container has the client's port.
  const other = lab.start(
    'node',
    ['-e', 'const s = require("dgram").createSocket("udp4"); s.bind(68)'],
    container,
  );
  const since = server.heard[1]!.at;
  await until(() => server.of('request').length >= 3, 'two renewals');
  const [, first, second] = server.of('request');
  expect(first!.at - since).toBeGreaterThan(1500);
  expect(first!.at - since).toBeLessThan(3000);
  expect(second!.at - first!.at).toBeGreaterThan(1500);
  expect(first!.message.ciaddr).toBe('192.168.7.50');
  expect(first!.source).toBe('192.168.7.50');
  expect(first!.destination).toBe('192.168.7.1');
  expect(first!.mac).toBe(Buffer.from(first!.message.chaddr).toString('hex'));
  expect(first!.message.options.has(50)).toBe(false);
  expect(first!.message.options.has(54)).toBe(false);
  await lab.succeed('CHECK', container);
  await lab.succeed('DEL', container);
  await until(() => server.kinds.includes('release'), 'a release');
  const requests = server.of('request').length;
  await pause(2500);
  expect(server.of('request')).toHaveLength(requests);
  other.process.kill();
});

test('T1 and T2 of the server count (dhcp 21)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(100, { 58: seconds(2), 59: seconds(3) })));
  await one.lab.add(one.lab.container());
  await until(() => one.server.of('request').length >= 2, 'a renewal', one.daemon.log, 3000);
});

test('a NAK at renewal: the address is taken from the link, and the new one put there; an ADD repeated tells it (dhcp 22, trap 10)', async () => {
  await using one = await labWith();
  const { lab, server, daemon } = one;
  let address = '192.168.7.50';
  server.script = ({ kind, message }): Saying | undefined => {
    if (kind === 'request' && message.ciaddr !== '0.0.0.0' && message.ciaddr !== address)
      return { kind: 'nak' };
    return giving(address, lasting(4))({ kind } as never, server) as Saying;
  };
  const container = lab.container();
  configure(container, await lab.add(container));
  address = '192.168.7.60';
  await until(
    () => addresses(container).join() === '192.168.7.60/24',
    'the other address',
    daemon.log,
    12_000,
  );
  expect(container.sh('ip route')).toContain('default via 192.168.7.1');
  expect(isUp(container)).toBe(true);
  expect(await lab.add(container)).toBe('192.168.7.60/24');
  expect(daemon.log()).toContain('192.168.7.60');
});

test('a server that is replaced by another: by T2 the lease is the other’s (trap 11)', async () => {
  const options = lasting(6, { 58: seconds(1), 59: seconds(3) });
  await using one = await labWith(giving('192.168.7.50', options));
  const { lab, server, daemon } = one;
  const container = lab.container();
  configure(container, await lab.add(container));
  server.script = ({ kind, destination }) =>
    kind === 'request' && destination === '255.255.255.255'
      ? { kind: 'ack', address: '192.168.7.50', server: '192.168.7.2', options }
      : undefined;
  await until(() => daemon.log().includes('renewed'), 'a lease of the other', daemon.log, 8000);
  await until(
    () => server.of('request').some(({ destination }) => destination === '192.168.7.2'),
    'a renewal there',
    daemon.log,
    4000,
  );
  expect(addresses(container)).toEqual(['192.168.7.50/24']);
});

test('another address at rebind is put on the link, the old one goes with its routes, and those of others stay, whatever table they are in', async () => {
  const options = lasting(6, { 58: seconds(1), 59: seconds(2) });
  await using one = await labWith(giving('192.168.7.50', options));
  const { lab, server, daemon } = one;
  const container = lab.container();
  configure(container, await lab.add(container));
  container.sh(
    'ip route add 10.9.0.0/16 via 192.168.7.9; ip route add default via 192.168.7.1 dev eth0 table 100',
  );
  server.script = ({ kind }) =>
    kind === 'request' ? { kind: 'ack', address: '192.168.7.61', options } : undefined;
  await until(() => addresses(container).join() === '192.168.7.61/24', 'the other address', daemon.log, 6000);
  await until(() => daemon.log().includes('in place of'), 'a line in the log');
  expect(container.sh('ip route')).toContain('default via 192.168.7.1');
  expect(container.sh('ip route')).toContain('10.9.0.0/16 via 192.168.7.9');
  expect(container.sh('ip route show table 100')).toContain('default via 192.168.7.1');
  expect(isUp(container)).toBe(true);
});

test('a server that is silent: when the lease is over the link is down; ADD and CHECK do not hang, DEL succeeds, and then ADD works (dhcp 23)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(3)));
  const { lab, server, daemon } = one;
  const container = lab.container();
  configure(container, await lab.add(container));
  server.script = () => undefined;
  await until(() => !isUp(container), 'the link down', daemon.log, 6000);
  expect(addresses(container)).toEqual([]);
  await until(() => daemon.log().includes('lease expired, bringing interface DOWN'), 'a line in the log');
  const [again, check] = await Promise.all([lab.call('ADD', container), lab.call('CHECK', container)]);
  expect(again.status).toBe(1);
  expect(check.status).toBe(1);
  await lab.succeed('DEL', container);
  server.script = giving('192.168.7.51');
  expect(await lab.add(container)).toBe('192.168.7.51/24');
  expect(isUp(container)).toBe(true);
});

test('DEL during a renewal answers within a second (dhcp 25)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(4)));
  const { lab, server } = one;
  const container = lab.container();
  await lab.add(container);
  server.script = () => undefined;
  await until(() => server.of('request').length > 1, 'a renewal');
  const start = Date.now();
  await lab.succeed('DEL', container);
  expect(Date.now() - start).toBeLessThan(3000);
  expect(lab.kept).toEqual([]);
});
