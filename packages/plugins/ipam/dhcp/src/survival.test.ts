/** Leases when the daemon is killed, and when containers end without a DEL. */
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Call, until } from '../test/dhcp-lab.ts';
import { addresses, configure, fast, labWith, lasting } from '../test/scripted-lab.ts';
import { giving } from '../test/scripted-server.ts';

test('a daemon that was killed goes on with its leases without a packet, and DEL gives them back (dhcp 29)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(60)));
  const { lab, server, daemon } = one;
  const container = lab.container();
  const address = await lab.add(container);
  configure(container, address);
  daemon.process.kill('SIGKILL');
  await daemon.ended;
  const packets = server.heard.length;
  const second = await lab.daemon(fast);
  await until(() => second.log().includes('going on with the lease of 192.168.7.50'), 'a line in the log');
  expect(await lab.add(container)).toBe(address);
  await lab.succeed('CHECK', container, {
    config: { prevResult: { cniVersion: '1.0.0', ips: [{ address }] } },
  });
  expect(server.heard).toHaveLength(packets);
  await lab.succeed('DEL', container);
  await until(() => server.kinds.includes('release'), 'a release');
  expect(lab.kept).toEqual([]);
});

test('containers that died while the daemon was away are given back for, by the host’s link, and forgotten', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(60)));
  const { lab, server, daemon } = one;
  const container = lab.container('dead');
  await lab.add(container, { config: { bridge: 'br0' } });
  daemon.process.kill('SIGKILL');
  await daemon.ended;
  container.remove();
  const second = await lab.daemon(fast);
  await until(() => server.kinds.includes('release'), 'a release', second.log);
  await until(() => lab.kept.length === 0, 'nothing kept', second.log);
  expect(server.of('release')[0]!.message.ciaddr).toBe('192.168.7.50');
});

test('a daemon without its leases: CHECK and REPAIR take the same address again and it is renewed; another address is an error and given back (trap 12)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(60)));
  const { lab, server, daemon } = one;
  const container = lab.container();
  const prevResult = { cniVersion: '1.0.0', ips: [{ address: await lab.add(container) }] };
  daemon.process.kill('SIGKILL');
  await daemon.ended;
  lab.host.sh(`rm -r ${lab.state}`);
  const second = await lab.daemon(fast);
  const { stdout } = await lab.succeed('REPAIR', container, { config: { prevResult } });
  expect(JSON.parse(stdout)).toEqual({ repaired: ['there was no lease any more'] });
  await lab.succeed('CHECK', container, { config: { prevResult } });
  expect(lab.kept).toHaveLength(1);
  expect(server.of('discover')).toHaveLength(1);
  second.process.kill('SIGKILL');
  await second.ended;
  lab.host.sh(`rm -r ${lab.state}`);
  await lab.daemon(fast);
  server.script = ({ kind, message }) => {
    if (kind === 'request' && message.options.has(54) === false) return { kind: 'nak' };
    return giving('192.168.7.66')({ kind } as never, server);
  };
  const { json } = await lab.call('CHECK', container, { config: { prevResult } });
  expect(json.msg).toContain('192.168.7.66 instead of 192.168.7.50');
  await until(() => server.kinds.includes('release'), 'a release');
  const none = await lab.call('CHECK', container);
  expect(none.json.msg).toContain('there is no lease');
});

test('a namespace that goes without a DEL is let go within seconds, and the lease given back (trap 1)', async () => {
  await using one = await labWith();
  const { lab, server, daemon } = one;
  const descriptors = () => readdirSync(`/proc/${daemon.process.pid}/fd`).length;
  const first = lab.container();
  await lab.add(first);
  await lab.succeed('DEL', first);
  server.heard.length = 0;
  // Sockets of answered questions are closed a moment later.
  await pause(200);
  const before = descriptors();
  const container = lab.container('unclean');
  await lab.add(container);
  await pause(200);
  expect(descriptors()).toBe(before + 1);
  container.remove();
  await until(() => server.kinds.includes('release'), 'a release', daemon.log, 5000);
  await until(() => !lab.host.sh('ip link').includes('p-unclean'), 'the end of its link', daemon.log, 5000);
  await until(() => descriptors() <= before, 'no descriptors left', daemon.log);
  expect(lab.kept).toEqual([]);
});

test('a namespace whose path is gone but in which a process lives keeps its lease', async () => {
  await using one = await labWith();
  const { lab, server } = one;
  const container = lab.container('lives');
  await lab.add(container);
  const inside = lab.start('sleep', ['30'], container);
  container.remove();
  await pause(3500);
  expect(server.kinds).not.toContain('release');
  inside.process.kill();
  await until(() => server.kinds.includes('release'), 'a release', undefined, 12_000);
});

test('the daemon is killed at random moments under leases of three seconds: no address changes, and each DEL is heard', async () => {
  const given = new Map<string, string>();
  await using one = await labWith();
  const { lab, server } = one;
  server.script = ({ kind, message }) => {
    const mac = Buffer.from(message.chaddr).toString('hex');
    if (!given.has(mac)) given.set(mac, `192.168.7.${50 + given.size}`);
    return giving(given.get(mac)!, lasting(3))({ kind } as never, server);
  };
  const containers = Array.from({ length: 5 }, () => lab.container());
  const had = await Promise.all(containers.map((container) => lab.add(container)));
  for (const [i, container] of containers.entries()) configure(container, had[i]!);
  let { daemon } = one;
  const end = Date.now() + 10_000;
  let kills = 0;
  for (; Date.now() < end; kills++) {
    await pause(200 + Math.random() * 800);
    daemon.process.kill('SIGKILL');
    await daemon.ended;
    daemon = await lab.daemon(fast);
  }
  expect(kills).toBeGreaterThan(5);
  expect(containers.map((container) => addresses(container).join())).toEqual(had);
  expect(await Promise.all(containers.map((container) => lab.add(container)))).toEqual(had);
  // None was asked for anew.
  expect(server.of('discover')).toHaveLength(5);
  await Promise.all(containers.map((container) => lab.succeed('DEL', container)));
  await until(() => server.of('release').length === 5, 'five releases', daemon.log);
  expect(lab.kept).toEqual([]);
});

test('three DELs at once, and a DEL while the lease runs out (trap 4)', async () => {
  await using one = await labWith(giving('192.168.7.50', lasting(2)));
  const { lab, server, daemon } = one;
  const container = lab.container();
  await lab.add(container);
  server.script = () => undefined;
  const call: Call = {};
  await until(() => daemon.log().includes('expired'), 'the end of the lease', daemon.log);
  await Promise.all([1, 2, 3].map(() => lab.succeed('DEL', container, call)));
  expect(daemon.process.exitCode).toBe(null);
});
