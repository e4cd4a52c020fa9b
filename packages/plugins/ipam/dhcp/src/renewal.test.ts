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

test('a link that was deleted: CHECK says so, any number of times, DEL succeeds and ADD works on a new one (dhcp 24)', async () => {
  await using one = await labWith();
  const { lab, daemon } = one;
  const container = lab.container('gone');
  const address = await lab.add(container);
  container.sh('ip link del eth0');
  await until(() => daemon.log().includes('no longer exists'), 'the end', daemon.log);
  const prevResult = { cniVersion: '1.0.0', ips: [{ address }] };
  for (let i = 0; i < 2; i++) {
    const { json } = await lab.call('CHECK', container, { config: { prevResult } });
    expect(json.msg).toContain('Link not found');
  }
  await lab.succeed('DEL', container);
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

test('two interfaces of a container have two leases (dhcp 5), and a link that is down is set up (dhcp 7)', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  server.script = ({ kind, message }) => {
    const address = message.chaddr[5] === 2 ? '192.168.7.52' : '192.168.7.51';
    return giving(address)({ kind } as never, server);
  };
  const container = lab.container('two');
  lab.host.sh('ip link add q type veth peer name q1; ip link set q master br0 up');
  lab.host.sh(`ip link set q1 netns ${container.path}`);
  container.sh(
    'ip link set q1 name net1 address 02:00:00:00:00:02; ip link set eth0 address 02:00:00:00:00:01',
  );
  expect(await lab.add(container)).toBe('192.168.7.51/24');
  expect(await lab.add(container, { ifname: 'net1' })).toBe('192.168.7.52/24');
  expect(JSON.parse(container.sh('ip -j link show net1'))[0].flags).toContain('UP');
  await lab.succeed('DEL', container, { ifname: 'net1' });
  await lab.succeed('DEL', container);
  expect(server.of('release').map(({ message }) => message.ciaddr)).toEqual(['192.168.7.52', '192.168.7.51']);
});

test('the link goes down and up again: the client asks whether its address is still right', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(60)));
  const { lab, server, daemon } = one;
  const container = lab.container('flap');
  configure(container, await lab.add(container));
  lab.host.sh('ip link set p-flap down');
  await pause(300);
  lab.host.sh('ip link set p-flap up');
  await until(() => server.of('request').length > 1, 'a REQUEST', daemon.log);
  expect(
    server.of('request')[1]!.message.options.get(50) ?? server.of('request')[1]!.message.ciaddr,
  ).toBeTruthy();
  await lab.succeed('CHECK', container);
  expect(addresses(container)).toEqual(['192.168.7.50/24']);
});
