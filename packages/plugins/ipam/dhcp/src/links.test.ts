/** Links that go, come and are down: what becomes of their leases. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { until } from '../test/dhcp-lab.ts';
import { addresses, configure, labWith, lasting } from '../test/scripted-lab.ts';
import { giving } from '../test/scripted-server.ts';

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
  await until(() => server.of('release').length > 1, 'two releases');
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
