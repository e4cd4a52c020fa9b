/** What needs no VLAN of the kernel; the others are in vlan.uml.test.ts, for user-mode Linux. */
import { writeFileSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { test as base, type Container, type Host } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { describe, expect } from 'vitest';
import { vlan } from './vlan.ts';

const plugins = [hostLocal];

const test = base.extend<{ master: undefined }>({
  master: [
    async ({ host }, use) => {
      host.sh('ip link add m0 mtu 1400 type veth peer name neighbour; ip link set m0 up');
      pluginFolder(host, 'host-local');
      await use(undefined);
    },
    { auto: true },
  ],
});

function ipam(host: Host): object {
  return { type: 'host-local', dataDir: `${host.dir}/networks`, ranges: [[{ subnet: '10.9.0.0/24' }]] };
}

function given(host: Host, container: Container | undefined, config: object, more: Partial<Call> = {}): Call {
  const own = { cniVersion: '1.1.0', name: 'net1', type: 'vlan', master: 'm0', vlanId: 5, ipam: ipam(host) };
  return { config: { ...own, ...config }, container, path: host.bin, plugins, ...more };
}

const links = (place: Container | Host) => place.sh('ip -br link');

describe('the configuration', () => {
  test.for([
    [-1, 'the last one is 4094'],
    [4095, '4095 is reserved'],
    [4096, 'the last one is 4094'],
    [5000, 'the last one is 4094'],
  ] as const)(
    'VLAN ID %i is refused, also where there is no such master (vlan 3)',
    async ([vlanId, why], { host, container }) => {
      const refused = await message(call(vlan, 'ADD', given(host, container, { vlanId, master: 'gone' })));
      expect(refused).toBe(`invalid VLAN ID ${vlanId} (must be between 0 and 4095 inclusive): ${why}`);
    },
  );

  test('without master it is refused; a master that is not there is named (vlan 4)', async ({
    host,
    container,
  }) => {
    expect(await message(call(vlan, 'ADD', given(host, container, { master: '' })))).toBe(
      '"master" field is required. It specifies the host interface name to create the VLAN for',
    );
    expect(await message(call(vlan, 'ADD', given(host, container, { master: 'gone' })))).toBe(
      'Link not found: "gone", which the configuration names as master',
    );
  });

  test('an mtu that the master does not take is told with both numbers (vlan 5, trap 4)', async ({
    host,
    container,
  }) => {
    for (const mtu of [1401, -1]) {
      expect(await message(call(vlan, 'ADD', given(host, container, { mtu })))).toBe(
        `invalid MTU ${mtu}, must be [0, master MTU(1400)]`,
      );
    }
  });

  test("the label of an address is no master, and the link's name is told", async ({ host, container }) => {
    host.sh('ip address add 10.1.1.1/24 dev m0 label m0:1');
    expect(await message(call(vlan, 'ADD', given(host, container, { master: 'm0:1' })))).toContain(
      '"m0:1" is the label of an address of "m0", which is a link',
    );
  });

  test('an unknown protocol is refused with those there are (trap 13)', async ({ host, container }) => {
    expect(await message(call(vlan, 'ADD', given(host, container, { protocol: 'qinq' })))).toBe(
      'unknown VLAN protocol: "qinq" (known are 802.1q, 802.1ad)',
    );
  });

  test('without IPAM it is refused before anything is made (vlan 11, trap 12)', async ({
    host,
    container,
  }) => {
    expect(await message(call(vlan, 'ADD', given(host, container, { ipam: {} })))).toBe(
      'failed to execute IPAM delegate: no plugin name provided',
    );
  });

  test('a field of the wrong type is named', async ({ host, container }) => {
    const { error } = await call(vlan, 'ADD', given(host, container, { vlanId: '5' }));
    expect(error).toMatchObject({ code: 7, msg: expect.stringContaining('failed to load netconf: vlanId') });
  });

  test('a namespace that is not there is told (vlan 10)', async ({ host }) => {
    const netns = `${host.dir}/gone`;
    expect(await message(call(vlan, 'ADD', given(host, undefined, {}, { netns })))).toBe(
      `failed to open netns "${netns}": failed to Statfs "${netns}": no such file or directory`,
    );
  });

  test.skipIf(has('vlan'))(
    'a kernel without VLANs is told by ADD, with its module, and by STATUS (trap 9)',
    async ({ host, container }) => {
      const refused = await message(call(vlan, 'ADD', given(host, container, {})));
      expect(refused).toMatch(/^failed to create vlan: operation not supported/);
      expect(refused).toContain('this kernel has no vlan links; its module is "8021q"');
      expect(links(container)).not.toContain('eth0');
      expect((await call(vlan, 'STATUS', given(host, undefined, {}))).error).toMatchObject({
        code: 50,
        msg: 'vlan cannot serve ADD: this kernel has no vlan links; its module is "8021q"',
      });
    },
  );
});

describe('DEL', () => {
  test('without ADD, again, without a path and without the master succeeds, and asks IPAM each time (vlan 14, trap 6)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', {});
    const fake = { ipam: { type: 'fake' } };
    await succeed(vlan, 'DEL', given(host, container, fake));
    await succeed(vlan, 'DEL', given(host, container, fake));
    await succeed(vlan, 'DEL', given(host, undefined, fake, { netns: '' }));
    await succeed(vlan, 'DEL', given(host, undefined, fake, { netns: `${host.dir}/gone` }));
    host.sh('ip link del m0');
    await succeed(vlan, 'DEL', given(host, container, fake));
    const inside = { ...fake, linkInContainer: true };
    await succeed(vlan, 'DEL', given(host, undefined, inside, { netns: `${host.dir}/gone` }));
    expect(log()).toEqual(Array.from({ length: 6 }, () => 'DEL'));
  });

  test.for([
    { vlanId: 5000 },
    { mtu: 9000 },
    { master: '' },
    { master: 7 },
    { protocol: 'qinq' },
    { linkInContainer: 'yes' },
  ])('%j, which ADD would refuse, is no obstacle', async (wrong, { host, container }) => {
    const log = fakeIpam(host.bin, 'fake', {});
    await succeed(vlan, 'DEL', given(host, container, { ipam: { type: 'fake' }, ...wrong }));
    expect(log()).toEqual(['DEL']);
  });

  test('a prevResult that cannot be read is not used (vlan 18)', async ({ host, container }) => {
    const prevResult = { cniVersion: 'zz', ips: 3 };
    await succeed(vlan, 'DEL', given(host, container, {}, { prevResult }));
  });

  test("IPAM's failure is DEL's, with its code (vlan 14)", async ({ host, container }) => {
    const answer = '{"code": 5, "msg": "m"}';
    writeFileSync(`${host.bin}/bad`, `#!/bin/sh\ncat >/dev/null\necho '${answer}'\nexit 1\n`, {
      mode: 0o755,
    });
    const { error } = await call(vlan, 'DEL', given(host, container, { ipam: { type: 'bad' } }));
    expect(error).toMatchObject({ code: 5, msg: 'm' });
  });

  test('a link of another kind that has the name stays', async ({ host, container }) => {
    container.sh('ip link add eth0 type veth peer name x');
    await succeed(vlan, 'DEL', given(host, container, {}));
    expect(container.succeeds('ip link show eth0')).toBe(true);
  });
});

describe('CHECK, STATUS, VERSION', () => {
  test('CHECK without prevResult, without IPAM, or of a namespace that is gone says so (vlan 16)', async ({
    host,
    container,
  }) => {
    expect(await message(call(vlan, 'CHECK', given(host, container, {})))).toBe(
      'vlan: Required prevResult missing',
    );
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: container.path }] };
    const bare = given(host, container, { ipam: {} }, { prevResult });
    expect(await message(call(vlan, 'CHECK', bare))).toBe('no plugin name provided');
    const gone = given(host, undefined, {}, { netns: `${host.dir}/gone`, prevResult });
    expect(await message(call(vlan, 'CHECK', gone))).toContain(`failed to open netns "${host.dir}/gone"`);
  });

  test('CHECK says that a link is gone, and that its master is (vlan 16, 17)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', {});
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: container.path }] };
    const config = { ipam: { type: 'fake' } };
    expect(await message(call(vlan, 'CHECK', given(host, container, config, { prevResult })))).toBe(
      'vlan: Container Interface name in prevResult: eth0 not found',
    );
    const masterless = given(host, container, { ...config, master: 'nope' }, { prevResult });
    const text = await message(call(vlan, 'CHECK', masterless));
    expect(text).toMatch(/^failed to lookup master "nope": Link not found/);
    expect(text).toContain('"eth0", which stood on it, is gone, too');
    container.sh('ip link add eth0 type veth peer name x');
    expect(await message(call(vlan, 'CHECK', given(host, container, config, { prevResult })))).toBe(
      'Error: Container interface eth0 not of type vlan',
    );
    const elsewhere = { ...prevResult, interfaces: [{ name: 'eth0', sandbox: '/elsewhere' }] };
    const moved = given(host, container, config, { prevResult: elsewhere });
    expect(await message(call(vlan, 'CHECK', moved))).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
    expect(log()).toEqual(['CHECK', 'CHECK', 'CHECK', 'CHECK']);
  });

  test.for([
    [{ master: 'nope' }, 'nope'],
    [{ vlanId: 4095 }, '4095'],
    [{ mtu: 9000 }, '9000'],
  ] as const)('STATUS of %j is code 50 with the reason', async ([wrong, named], { host }) => {
    const { error } = await call(vlan, 'STATUS', given(host, undefined, wrong));
    expect(error).toMatchObject({ code: 50, msg: expect.stringContaining(named) });
  });

  test('VERSION lists every version, and STATUS below 1.1.0 is refused (vlan 20)', async ({ host }) => {
    const { stdout } = await succeed(vlan, 'VERSION', given(host, undefined, {}));
    expect(JSON.parse(stdout).supportedVersions).toEqual([
      '0.1.0',
      '0.2.0',
      '0.3.0',
      '0.3.1',
      '0.4.0',
      '1.0.0',
      '1.1.0',
    ]);
    const { error } = await call(vlan, 'STATUS', given(host, undefined, { cniVersion: '1.0.0' }));
    expect(error).toMatchObject({ code: 1, msg: 'config version does not allow STATUS' });
  });
});
