/** Many leases: at once, and one after the other. By the daemon's socket, for a hundred processes would be what is
 *  measured otherwise. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { executables, Lab, until } from '../test/dhcp-lab.ts';
import { RawClient } from '../test/raw-client.ts';
import { giving, ScriptedServer } from '../test/scripted-server.ts';

function argumentsFor(lab: Lab, id: string, netns: string) {
  return { ContainerID: id, Netns: netns, IfName: 'eth0', StdinData: new TextEncoder().encode(lab.config()) };
}

function resident(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Milliseconds in the program and in the kernel. */
function processorTime(pid: number | undefined): [number, number] {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return [Number(fields[13]) * 10, Number(fields[14]) * 10]; // of 10 ms each
}

/** Of a period: `1.20 + 0.80`. */
function shares(before: readonly number[], after: readonly number[], of: number): string {
  return after.map((value, i) => ((value - before[i]!) / of).toFixed(2)).join(' + ');
}

test('a hundred containers at once have a hundred addresses, and no descriptor stays after their DELs (trap 27)', {
  timeout: 60_000,
}, async () => {
  await using lab = new Lab();
  const server = await lab.dnsmasq(lab.serverPlace(), '192.168.7.10,192.168.7.109,2m');
  const daemon = await lab.daemon();
  const descriptors = () => readdirSync(`/proc/${daemon.process.pid}/fd`).length;
  const containers = Array.from({ length: 100 }, (_, i) => lab.container(`m${i}`));
  const clients = containers.map(() => new RawClient(lab.socket));
  await Promise.all(clients.map((client) => client.greet()));
  const start = Date.now();
  const all = await Promise.all(
    containers.map(async ({ path }, i) => {
      clients[i]!.request('DHCP.Allocate', 0, argumentsFor(lab, `m${i}`, path));
      const [head, body] = await clients[i]!.answer(15_000);
      expect(head.Error).toBe(undefined);
      return JSON.stringify((body.IPs as { Address: { IP: Uint8Array } }[])[0]!.Address.IP);
    }),
  );
  expect(Date.now() - start).toBeLessThan(10_000);
  expect(new Set(all).size).toBe(100);
  await Promise.all(
    containers.map(async ({ path }, i) => {
      clients[i]!.request('DHCP.Release', 1, argumentsFor(lab, `m${i}`, path));
      expect((await clients[i]!.answer())[0].Error).toBe(undefined);
      clients[i]!.socket.destroy();
    }),
  );
  await until(() => server.log().split('DHCPRELEASE').length === 101, 'a hundred releases');
  await until(() => descriptors() < 30, 'few descriptors');
  expect(lab.kept).toEqual([]);
});

// Under Node the collector decides when memory is given back.
test.skipIf(executables === undefined)(
  'memory stays as it is over leases taken and given back',
  { timeout: 600_000 },
  async () => {
    const rounds = Number(process.env.CNI_TS_DHCP_LEASES ?? 200);
    await using lab = new Lab();
    using _server = new ScriptedServer(lab.serverPlace(), giving('192.168.7.50'));
    const daemon = await lab.daemon();
    const { path } = lab.container();
    const client = new RawClient(lab.socket);
    await client.greet();
    const round = async (i: number) => {
      client.request('DHCP.Allocate', i * 2, argumentsFor(lab, `id${i}`, path));
      expect((await client.answer())[0].Error).toBe(undefined);
      client.request('DHCP.Release', i * 2 + 1, argumentsFor(lab, `id${i}`, path));
      expect((await client.answer())[0].Error).toBe(undefined);
    };
    for (let i = 0; i < Math.max(100, rounds / 4); i++) await round(i);
    const [before, began] = [resident(daemon.process.pid), processorTime(daemon.process.pid)];
    for (let i = 0; i < rounds; i++) {
      await round(1e6 + i);
      if (rounds > 1000 && i % 500 === 0) console.log(`${i}: ${resident(daemon.process.pid)} kB`);
    }
    const after = resident(daemon.process.pid);
    const each = shares(began, processorTime(daemon.process.pid), rounds);
    console.log(`${rounds} leases: ${before} kB before, ${after} kB after; each took ${each} ms`);
    expect(after - before).toBeLessThan(1000);
    client.socket.destroy();
  },
);

// For the figures of the README, by hand: CNI_TS_DHCP_HELD=1000, CNI_TS_DHCP_TIME=2m.
const held = Number(process.env.CNI_TS_DHCP_HELD ?? 0);
test.skipIf(held === 0)('many leases held: memory and time', { timeout: 600_000 }, async () => {
  await using lab = new Lab();
  const place = lab.serverPlace('server', '10.10.0.1/16');
  await lab.dnsmasq(
    place,
    `10.10.1.0,10.10.20.0,${process.env.CNI_TS_DHCP_TIME ?? '2m'}`,
    '--dhcp-lease-max=5000',
  );
  const daemon = await lab.daemon();
  const client = new RawClient(lab.socket);
  await client.greet();
  const perContainer = 20;
  for (let i = 0; i < held / perContainer; i++) {
    const container = lab.host.container(`h${i}`);
    const links = Array.from({ length: perContainer }, (_, j) => `h${i}x${j}`);
    const lines = links.map(
      (name) => `ip link add ${name} master br0 up type veth peer name n${name} netns ${container.path}`,
    );
    lab.host.sh(lines.join('\n'));
    container.sh(links.map((name) => `ip link set n${name} up`).join('\n'));
    for (const name of links) {
      client.request('DHCP.Allocate', 1, {
        ...argumentsFor(lab, `h${i}`, container.path),
        IfName: `n${name}`,
      });
      const [head] = await client.answer(20_000);
      expect(head.Error).toBe(undefined);
    }
  }
  const before = processorTime(daemon.process.pid);
  const period = 60_000;
  await new Promise((done) => setTimeout(done, period));
  const share = shares(before, processorTime(daemon.process.pid), period / 100);
  console.log(`${held} leases held: ${resident(daemon.process.pid)} kB, ${share} % of a processor`);
  client.socket.destroy();
});
