import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { count, goDhcp, Lab, until } from '../test/dhcp-lab.ts';

test.skipIf(!goDhcp)(
  'our plugin and the daemon of the reference: ADD, CHECK, DEL, an error (dhcp 30)',
  async () => {
    await using lab = new Lab();
    const server = await lab.dnsmasq(lab.serverPlace());
    await lab.daemon([], 'go');
    const container = lab.container();
    const address = await lab.add(container);
    expect(address).toMatch(/^192\.168\.7\.\d+\/24$/);
    await lab.succeed('CHECK', container);
    const { json } = await lab.call('ADD', container, { ifname: 'eth9' });
    expect(json.msg).toBe('error calling DHCP.Allocate: error looking up "eth9": Link not found');
    await lab.succeed('DEL', container);
    expect(count(server.log(), 'DHCPACK')).toBe(1);
  },
);

test.skipIf(!goDhcp)(
  'the plugin of the reference and our daemon: ADD, CHECK, DEL, an error (dhcp 30)',
  async () => {
    await using lab = new Lab();
    const server = await lab.dnsmasq(lab.serverPlace());
    await lab.daemon();
    const container = lab.container();
    const { json: result } = await lab.succeed('ADD', container, { which: 'go' });
    expect(result.ips).toEqual([
      { address: expect.stringMatching(/^192\.168\.7\.\d+\/24$/), gateway: '192.168.7.1' },
    ]);
    expect(result.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1' }]);
    await lab.succeed('CHECK', container, { which: 'go' });
    expect(count(server.log(), 'DHCPACK')).toBe(1);
    const { json } = await lab.call('ADD', container, { ifname: 'eth9', which: 'go' });
    expect(json.msg).toBe('error calling DHCP.Allocate: error looking up "eth9": Link not found');
    await lab.succeed('DEL', container, { which: 'go' });
    await until(() => server.log().includes('DHCPRELEASE'), 'a release', server.log);
  },
);

test('ADD gives address, gateway and default route; again it gives the same without a packet; DEL any number of times, and the server hears of it (dhcp 1, 3, 4)', async () => {
  await using lab = new Lab();
  const server = await lab.dnsmasq(lab.serverPlace());
  const daemon = await lab.daemon();
  const container = lab.container();
  const { json } = await lab.succeed('ADD', container);
  expect(json.ips).toEqual([
    { address: expect.stringMatching(/^192\.168\.7\.\d+\/24$/), gateway: '192.168.7.1' },
  ]);
  expect(json.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1' }]);
  const packets = count(server.log(), /DHCP[A-Z]+\(/);
  const again = await lab.succeed('ADD', container, { ipam: { priority: 77 } });
  expect(again.json.ips).toEqual(json.ips);
  expect(again.json.routes).toEqual([{ dst: '0.0.0.0/0', gw: '192.168.7.1', priority: 77 }]);
  for (const priority of [-1, 4294967296]) {
    const { json } = await lab.call('ADD', container, { ipam: { priority } });
    expect(json).toMatchObject({
      code: 7,
      msg: expect.stringContaining('ipam.priority: expected a number at'),
    });
  }
  await pause(100);
  expect(count(server.log(), /DHCP[A-Z]+\(/)).toBe(packets);
  expect(lab.kept).toHaveLength(1);
  await Promise.all([1, 2, 3].map(() => lab.succeed('DEL', container)));
  await lab.succeed('DEL', container);
  await until(() => server.log().includes('DHCPRELEASE'), 'a release', server.log);
  expect(count(server.log(), 'DHCPRELEASE')).toBe(1);
  expect(lab.kept).toEqual([]);
  // A good ADD has nothing in the log that looks like a failure (trap 20).
  expect(daemon.log()).not.toMatch(/error|fail|down/i);
  daemon.process.kill('SIGTERM');
  expect(await daemon.ended).toBe(0);
});

test.skipIf(!goDhcp)(
  'with either daemon what one plugin has added the other checks and deletes (dhcp 30)',
  async () => {
    for (const daemon of ['ours', 'go'] as const) {
      await using lab = new Lab();
      const server = await lab.dnsmasq(lab.serverPlace());
      const running = await lab.daemon([], daemon);
      for (const [first, second] of [
        ['ours', 'go'],
        ['go', 'ours'],
      ] as const) {
        const container = lab.container();
        const { json } = await lab.succeed('ADD', container, { which: first });
        const config = { prevResult: json };
        await lab.succeed('CHECK', container, { which: second, config });
        const again = await lab.succeed('ADD', container, { which: second });
        expect(again.json.ips).toEqual(json.ips);
        await lab.succeed('DEL', container, { which: second, config });
      }
      expect(count(server.log(), 'DHCPACK')).toBe(2);
      // The reference's releases do not reach a server on Linux.
      if (daemon === 'ours')
        await until(() => count(server.log(), 'DHCPRELEASE') === 2, 'two releases', server.log);
      running.process.kill('SIGTERM');
      expect(await running.ended).toBe(0);
    }
  },
);
