/** What needs no ipvlan of the kernel; the others are in ipvlan.uml.test.ts, for user-mode Linux. */
import { writeFileSync } from 'node:fs';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { type Call, call, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { test as base, type Container, type Host } from '@cni-ts/testing/namespaces';
import { has } from '@cni-ts/testing/needs';
import { describe, expect } from 'vitest';
import { ipvlan } from './ipvlan.ts';

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
  const own = { cniVersion: '1.1.0', name: 'net1', type: 'ipvlan', master: 'm0', ipam: ipam(host) };
  return { config: { ...own, ...config }, container, path: host.bin, plugins, ...more };
}

describe('the configuration', () => {
  test('an unknown mode is refused, also where there is no such master (ipvlan 3)', async ({
    host,
    container,
  }) => {
    for (const mode of ['l9', 'L2']) {
      const refused = await message(call(ipvlan, 'ADD', given(host, container, { mode, master: 'nope' })));
      expect(refused).toBe(`unknown ipvlan mode: "${mode}" (known are l2, l3, l3s)`);
    }
    const missing = await message(call(ipvlan, 'ADD', given(host, container, { master: 'nope' })));
    expect(missing).toMatch(/^failed to lookup master "nope": Link not found/);
    expect(container.sh('ip -br link')).not.toContain('eth0');
  });

  test('a master whose name no link can have is said to be too long', async ({ host, container }) => {
    const master = 'the-uplink-of-this-host';
    expect(await message(call(ipvlan, 'ADD', given(host, container, { master })))).toContain(
      'the name is too long, it has 23 bytes',
    );
  });

  test('an mtu below that of any Ethernet link is refused before anything is made (ipvlan 4)', async ({
    host,
    container,
  }) => {
    expect(await message(call(ipvlan, 'ADD', given(host, container, { mtu: 20 })))).toMatch(
      /^failed to create ipvlan: invalid argument: mtu is 20/,
    );
  });

  test('without a default route and without master it is told where to add one (ipvlan 5, trap 12)', async ({
    host,
    container,
  }) => {
    const outside = await message(call(ipvlan, 'ADD', given(host, container, { master: undefined })));
    expect(outside).toMatch(/^no default route interface found: name a link as master/);
    expect(outside).toContain("in the plugin's own namespace");
    const inside = given(host, container, { master: '', linkInContainer: true });
    expect(await message(call(ipvlan, 'ADD', inside))).toContain(`in the container ${container.path}`);
  });

  test("the label of an address is no master, and the link's name is told (trap 21)", async ({
    host,
    container,
  }) => {
    host.sh('ip address add 10.1.1.1/24 dev m0 label m0:1');
    expect(await message(call(ipvlan, 'ADD', given(host, container, { master: 'm0:1' })))).toContain(
      '"m0:1" is the label of an address of "m0", which is a link',
    );
  });

  test('dhcp is refused in the modes without broadcasts, which are named (trap 1)', async ({
    host,
    container,
  }) => {
    for (const mode of ['l3', 'l3s']) {
      const refused = await message(
        call(ipvlan, 'ADD', given(host, container, { mode, ipam: { type: 'dhcp' } })),
      );
      expect(refused).toContain('ipam.type is dhcp, which needs broadcasts');
      expect(refused).toContain(`in mode ${mode} there are none`);
    }
  });

  test('a namespace that is not there is told', async ({ host }) => {
    const netns = `${host.dir}/gone`;
    expect(await message(call(ipvlan, 'ADD', given(host, undefined, {}, { netns })))).toBe(
      `failed to open netns "${netns}": failed to Statfs "${netns}": no such file or directory`,
    );
  });

  test.skipIf(has('ipvlan'))(
    'a kernel without ipvlan is told by ADD, with its module, and by STATUS (trap 17)',
    async ({ host, container }) => {
      const refused = await message(call(ipvlan, 'ADD', given(host, container, {})));
      expect(refused).toMatch(/^failed to create ipvlan: operation not supported/);
      expect(refused).toContain('this kernel has no ipvlan links; its module is "ipvlan"');
      expect((await call(ipvlan, 'STATUS', given(host, undefined, {}))).error).toMatchObject({
        code: 50,
        msg: 'ipvlan cannot serve ADD: this kernel has no ipvlan links; its module is "ipvlan"',
      });
    },
  );
});

describe('in a chain', () => {
  const prevResult = (...interfaces: object[]) => ({
    cniVersion: '1.1.0',
    interfaces,
    ips: [{ address: '10.1.2.2/24' }],
  });

  test.for([
    [[], 'none'],
    [[{ name: 'a' }, { name: 'b' }], '"a", "b"'],
    [[{ name: '' }], '""'],
    [[{ name: 'eth1', sandbox: '/run/netns/x' }], '"eth1" in the container /run/netns/x'],
  ] as const)(
    'a prevResult with the interfaces %j names no master (ipvlan 10)',
    async ([interfaces, told], { host, container }) => {
      const config = given(host, container, { master: '' }, { prevResult: prevResult(...interfaces) });
      const refused = await message(call(ipvlan, 'ADD', config));
      expect(refused).toMatch(/^chained master failure\. PrevResult lacks a single named interface/);
      expect(refused).toContain(`it lists ${told}; name a link as master`);
    },
  );

  test('without IPAM and without addresses of prevResult it is refused (ipvlan 11)', async ({
    host,
    container,
  }) => {
    for (const config of [
      given(host, container, { ipam: {} }),
      given(host, container, { ipam: {} }, { prevResult: { cniVersion: '1.1.0', interfaces: [] } }),
    ]) {
      expect(await message(call(ipvlan, 'ADD', config))).toBe('no plugin name provided');
    }
  });

  test('a prevResult that cannot be read is told by ADD', async ({ host, container }) => {
    const broken = { ipam: {} };
    const config = given(host, container, broken, { prevResult: { cniVersion: '1.1.0', ips: 3 } });
    expect(await message(call(ipvlan, 'ADD', config))).toMatch(/^could not parse prevResult/);
  });
});

describe('DEL', () => {
  test('without ADD, again, without a path, and without any master succeeds, and asks IPAM each time (ipvlan 15)', async ({
    host,
    container,
  }) => {
    const log = fakeIpam(host.bin, 'fake', {});
    const fake = { ipam: { type: 'fake' } };
    await succeed(ipvlan, 'DEL', given(host, container, fake));
    await succeed(ipvlan, 'DEL', given(host, container, fake));
    await succeed(ipvlan, 'DEL', given(host, undefined, fake, { netns: '' }));
    await succeed(ipvlan, 'DEL', given(host, undefined, fake, { netns: `${host.dir}/gone` }));
    // There is no default route either, nor one named link.
    await succeed(ipvlan, 'DEL', given(host, container, { ...fake, master: '' }));
    const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'a' }, { name: 'b' }] };
    await succeed(ipvlan, 'DEL', given(host, container, { ...fake, master: '' }, { prevResult }));
    writeFileSync(`${host.dir}/plain`, '');
    await succeed(ipvlan, 'DEL', given(host, undefined, fake, { netns: `${host.dir}/plain` }));
    expect(log()).toEqual(Array.from({ length: 7 }, () => 'DEL'));
  });

  test.for([{ mode: 'l9' }, { mtu: 20 }, { master: 7 }, { linkInContainer: 'yes' }])(
    '%j, which ADD would refuse, is no obstacle',
    async (wrong, { host, container }) => {
      const log = fakeIpam(host.bin, 'fake', {});
      await succeed(ipvlan, 'DEL', given(host, container, { ipam: { type: 'fake' }, ...wrong }));
      expect(log()).toEqual(['DEL']);
    },
  );

  test("IPAM's failure is DEL's, with its code (ipvlan 16)", async ({ host, container }) => {
    const answer = '{"code": 5, "msg": "m"}';
    writeFileSync(`${host.bin}/bad`, `#!/bin/sh\ncat >/dev/null\necho '${answer}'\nexit 1\n`, {
      mode: 0o755,
    });
    const { error } = await call(ipvlan, 'DEL', given(host, container, { ipam: { type: 'bad' } }));
    expect(error).toMatchObject({ code: 5, msg: 'm' });
  });
});

describe('CHECK, STATUS, VERSION', () => {
  test('CHECK without prevResult, of another sandbox, of another kind says so (ipvlan 18)', async ({
    host,
    container,
  }) => {
    fakeIpam(host.bin, 'fake', {});
    const config = { ipam: { type: 'fake' } };
    expect(await message(call(ipvlan, 'CHECK', given(host, container, config)))).toBe(
      'Required prevResult missing',
    );
    const checked = (sandbox: string, more: object = {}) => {
      const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox }] };
      return message(call(ipvlan, 'CHECK', given(host, container, { ...config, ...more }, { prevResult })));
    };
    expect(await checked('/elsewhere')).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
    expect(await checked(container.path)).toBe('Container Interface name in prevResult: eth0 not found');
    expect(await checked(container.path, { master: 'nope' })).toMatch(
      /^failed to lookup master "nope": Link not found.*"eth0", which stood on it, is gone, too/,
    );
    container.sh('ip link add eth0 type veth peer name x');
    expect(await checked(container.path)).toBe('Error: Container interface eth0 not of type ipvlan');
  });

  test.for([
    [{ master: 'nope' }, 'nope'],
    [{ mode: 'l9' }, 'l9'],
    [{ mtu: 20 }, '20'],
  ] as const)('STATUS of %j is code 50 with the reason', async ([wrong, named], { host }) => {
    const { error } = await call(ipvlan, 'STATUS', given(host, undefined, wrong));
    expect(error).toMatchObject({ code: 50, msg: expect.stringContaining(named) });
  });

  test('VERSION lists every version, and STATUS below 1.1.0 is refused (ipvlan 20)', async ({ host }) => {
    const { stdout } = await succeed(ipvlan, 'VERSION', given(host, undefined, {}));
    expect(JSON.parse(stdout).supportedVersions).toEqual([
      '0.1.0',
      '0.2.0',
      '0.3.0',
      '0.3.1',
      '0.4.0',
      '1.0.0',
      '1.1.0',
    ]);
    const { error } = await call(ipvlan, 'STATUS', given(host, undefined, { cniVersion: '1.0.0' }));
    expect(error).toMatchObject({ code: 1, msg: 'config version does not allow STATUS' });
  });
});
