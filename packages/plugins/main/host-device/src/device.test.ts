/** What the host's device is like in the container and back home, and what is refused. */

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { hostLocal } from '@cni-ts/host-local/host-local';
import { onKernelWrite } from '@cni-ts/libc/fault';
import { SyscallError } from '@cni-ts/libc/syscall-error';
import { staticPlugin } from '@cni-ts/static/static';
import { call, executables, fakeIpam, message, pluginFolder, succeed } from '@cni-ts/testing/call';
import { type Host, test } from '@cni-ts/testing/namespaces';
import { writeProgram } from '@cni-ts/testing/shell';
import { snapshot } from '@cni-ts/testing/snapshot';
import { describe, expect } from 'vitest';
import { given, link, mac } from '../test/device-trial.ts';
import { hostDevice } from './host-device.ts';

function makeDevice(host: Host, up = true): void {
  host.sh(`ip link add d0 address ${mac} type veth peer name p0; ip address add 198.51.100.1/24 brd + dev d0
    ip link set p0 up; ip link set d0 ${up ? 'up' : 'down'}`);
}

describe('ADD', () => {
  test('moves the device as it is under the interface name, up, its own name its alias (host-device 1)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const { result } = await succeed(
      hostDevice,
      'ADD',
      given(host, container, { device: 'd0', dns: { domain: 'z' } }),
    );
    expect(link(host, 'd0')).toBeUndefined();
    expect(link(container, 'eth0')).toMatchObject({
      address: mac,
      ifalias: 'd0',
      flags: expect.arrayContaining(['UP']),
    });
    expect(container.sh('ip -4 address show eth0')).not.toContain('198.51.100.1');
    expect(result).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth0', mac, sandbox: container.path }],
    });
  });

  test('finds the device by its MAC in any notation, and says what is none (host-device 4)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const tries: [object, string][] = [
      [{ device: 'nope' }, 'failed to find host device: Link not found'],
      [
        { device: 'the-first-port-of-the-card' },
        'failed to find host device: Link not found: "the-first-port-of-the-card" is not in the host\'s namespace: the name is too long, it has 26 bytes',
      ],
      [
        { hwaddr: 'zz' },
        'failed to find host device: failed to parse MAC address "zz": address zz: invalid MAC address',
      ],
      [{ hwaddr: '02:00:00:00:00:77' }, 'failed to find host device: failed to find physical interface'],
      [{ hwaddr: '00:00:00:00:00:00' }, 'failed to find host device: failed to find physical interface'],
    ];
    for (const [config, text] of tries)
      expect(
        (await message(call(hostDevice, 'ADD', given(host, container, config)))).slice(0, text.length),
      ).toBe(text);
    await succeed(hostDevice, 'ADD', given(host, container, { hwaddr: '0200.0000.0010' }));
    await succeed(hostDevice, 'DEL', given(host, container, { hwaddr: '0200.0000.0010' }));
    await succeed(hostDevice, 'ADD', given(host, container, { hwaddr: '02-00-00-00-00-10' }));
    expect(link(container, 'eth0').address).toBe(mac);
  });

  test('loses the addresses that the device has on the host, and who manages the host’s links hears that it is back (host-device trap 25)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    await succeed(hostDevice, 'ADD', given(host, container, { device: 'd0' }));
    const monitor = spawn('ip', ['monitor', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let heard = '';
    monitor.stdout.on('data', (text: Buffer) => (heard += text.toString()));
    try {
      // The first line tells that it listens.
      for (let i = 0; heard === '' && i < 100; i++) {
        host.sh(`ip link set lo mtu ${1300 + i}`);
        await pause(20);
      }
      await succeed(hostDevice, 'DEL', given(host, container, { device: 'd0' }));
      await expect.poll(() => heard, { timeout: 10_000 }).toMatch(/\d+: d0@?\S*: <.*UP/);
      expect(host.sh('ip -4 address show d0')).not.toContain('198.51.100.1');
    } finally {
      monitor.kill();
    }
  });

  test('is not kept on record by a path that depends on where the runtime is', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const { error } = await call(
      hostDevice,
      'ADD',
      given(host, container, { device: 'd0', dataDir: 'devices' }),
    );
    expect(error).toMatchObject({ code: 7, msg: 'dataDir is "devices": it must be a path from the root' });
    expect(link(host, 'd0')).toBeDefined();
  });

  test('of a MAC that several links have takes the one they have it from (host-device trap 11)', async ({
    host,
    container,
  }) => {
    host.sh(`ip link add br0 address ${mac} type bridge`);
    makeDevice(host);
    host.sh(`ip link add link d0 name over address ${mac} type macvlan mode passthru || true`);
    await succeed(hostDevice, 'ADD', given(host, container, { hwaddr: mac }));
    expect(link(container, 'eth0').linkinfo.info_kind).toBe('veth');
    await succeed(hostDevice, 'DEL', given(host, container, { hwaddr: mac }));
    host.sh(`ip link add d1 address ${mac} type veth peer name p1`);
    expect(await message(call(hostDevice, 'ADD', given(host, container, { hwaddr: mac })))).toMatch(
      /several links have the MAC 02:00:00:00:00:10: "d\d", "d\d"; say which by "device"/,
    );
  });

  test('without a key for the device is refused, and CHECK; DEL is not (host-device 3)', async ({
    host,
    container,
  }) => {
    const text = 'specify either "device", "hwaddr", "kernelpath" or "pciBusID"';
    const none = given(host, container, {}, { prevResult: { cniVersion: '1.1.0' } });
    for (const command of ['ADD', 'CHECK', 'PLAN'] as const)
      expect(await message(call(hostDevice, command, none))).toBe(text);
    await succeed(hostDevice, 'DEL', none);
  });

  test.for(['up', 'down'])(
    'whose name is taken in the container leaves the device on the host, %s (host-device 10)',
    async (state, { host, container }) => {
      makeDevice(host, state === 'up');
      container.sh('ip link add eth0 type bridge');
      const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
      expect(await message(call(hostDevice, 'ADD', given(host, container, { device: 'd0' })))).toMatch(
        /^failed to move link failed to move "eth0" \(host: "d0"\) to container NS: file exists/,
      );
      expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
      expect(
        link(host, 'd0').addr_info.some(({ local }: { local: string }) => local === '198.51.100.1'),
      ).toBe(true);
    },
  );

  test('moves a device whose name the container has for another link, and DEL takes it back (host-device 11, trap 9)', async ({
    host,
    container,
  }) => {
    host.sh(`ip link add eth0 address ${mac} type veth peer name p0`);
    container.sh('ip link add eth0 type bridge; ip link set eth0 up');
    const one = given(host, container, { device: 'eth0' }, { ifname: 'net1' });
    const before = snapshot(container.netns);
    await succeed(hostDevice, 'ADD', one);
    expect(link(container, 'net1')).toMatchObject({ address: mac, ifalias: 'eth0' });
    // On the host there may be one called as the container's, too.
    host.sh('ip link add net1 type bridge');
    await succeed(hostDevice, 'DEL', one);
    expect(link(host, 'eth0')).toMatchObject({ address: mac });
    expect(link(host, 'eth0').ifalias).toBeUndefined();
    expect(snapshot(container.netns)).toEqual(before);
  });

  test('of the loopback interface and of a bridge says that they cannot leave (host-device 12, trap 13)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add br0 type bridge');
    const before = snapshot(undefined, host.dir);
    for (const [device, what] of [
      ['lo', 'the loopback interface'],
      ['br0', 'a bridge'],
    ]) {
      const text = await message(call(hostDevice, 'ADD', given(host, container, { device })));
      expect(text).toMatch(`failed to move link failed to move "${device}" to tempNS: invalid argument`);
      expect(text).toContain(`"${device}" is ${what} and cannot leave its namespace`);
    }
    expect(snapshot(undefined, host.dir)).toEqual(before);
  });

  test('of a port is refused with the name of what it is a port of (host-device trap 12)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    host.sh('ip link add br0 type bridge; ip link set d0 master br0');
    expect(await message(call(hostDevice, 'ADD', given(host, container, { device: 'd0' })))).toContain(
      '"d0": it is a port of "br0"',
    );
    expect(link(host, 'd0').master).toBe('br0');
  });

  test('gives the device the addresses and routes of IPAM, and the configuration its dns (host-device 14)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
      dns: { nameservers: ['9.9.9.9'] },
    });
    const one = given(host, container, { device: 'd0', ipam: { type: 'fake' }, dns: { domain: 'z' } });
    const { result } = await succeed(hostDevice, 'ADD', one);
    expect(container.sh('ip -4 -br address show eth0')).toContain('10.9.0.2/24');
    expect(container.sh('ip route')).toContain('default via 10.9.0.1 dev eth0');
    expect(result).toMatchObject({ dns: { domain: 'z' }, ips: [{ address: '10.9.0.2/24', interface: 0 }] });
  });

  test('that fails at IPAM or at a route takes the device home as it was, addresses too (host-device 15)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
    fakeIpam(host.bin, 'fails', { code: 11, msg: 'm', details: 'd' }, 1);
    const fails = await call(
      hostDevice,
      'ADD',
      given(host, container, { device: 'd0', ipam: { type: 'fails' } }),
    );
    expect(fails.error).toMatchObject({ code: 11, msg: 'm', details: 'd' });
    expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
    const routes = [{ dst: '10.77.0.0/16', gw: '10.250.0.1' }];
    const log = fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.9.0.2/24' }],
      routes,
    });
    const unusable = given(host, container, { device: 'd0', ipam: { type: 'fake' } });
    expect(await message(call(hostDevice, 'ADD', unusable))).toMatch(/^failed to add route /);
    expect(log()).toEqual(['ADD', 'DEL']);
    fakeIpam(host.bin, 'none', { cniVersion: '1.1.0' });
    expect(
      await message(
        call(hostDevice, 'ADD', given(host, container, { device: 'd0', ipam: { type: 'none' } })),
      ),
    ).toBe('IPAM plugin returned missing IP config');
    expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
  });

  test('of a device with an alternative name that the container has for another link leaves it as it was (host-device trap 10)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    host.sh('ip link property add dev d0 altname enp1');
    container.sh('ip link add eth9 type bridge; ip link property add dev eth9 altname enp1');
    const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
    for (const ifname of ['eth0', 'enp1']) {
      const text = await message(
        call(hostDevice, 'ADD', given(host, container, { device: 'd0' }, { ifname })),
      );
      expect(text).toContain('file exists');
      expect(text).toContain('enp1');
      expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
    }
  });

  test('takes a device by an alternative name, and DEL restores both names (host-device trap 10)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const long = 'a-name-that-is-longer-than-fifteen';
    host.sh(`ip link property add dev d0 altname ${long}`);
    const one = given(host, container, { device: long });
    await succeed(hostDevice, 'ADD', one);
    expect(link(container, 'eth0')).toMatchObject({ ifalias: 'd0', altnames: [long] });
    await succeed(hostDevice, 'DEL', one);
    expect(link(host, 'd0')).toMatchObject({ address: mac, altnames: [long] });
  });

  test('shows the host no link under another name than its own, nor does DEL (host-device trap 8)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    host.sh(`ip monitor link >${host.dir}/events 2>&1 </dev/null & echo $! >${host.dir}/pid; sleep 0.2`);
    const one = given(host, container, { device: 'd0' });
    await succeed(hostDevice, 'ADD', one);
    await succeed(hostDevice, 'DEL', one);
    host.sh(`sleep 0.2; kill $(cat ${host.dir}/pid)`);
    const events = host.sh(`cat ${host.dir}/events`);
    expect(events).toContain('Deleted');
    expect(events.match(/\b(eth0|net1)\b[:@]/g)).toBeNull();
  });

  test('of a device that is not there never touches the link of the host that has the interface name (host-device trap 7)', async ({
    host,
    container,
  }) => {
    host.sh('ip link add eth0 type veth peer name p0');
    expect(await message(call(hostDevice, 'ADD', given(host, container, { device: 'nope' })))).toContain(
      'Link not found',
    );
    expect(link(host, 'eth0')).toBeDefined();
    expect(link(container, 'eth0')).toBeUndefined();
  });
});

test.skipIf(executables !== undefined).for([
  [['EBUSY', 'EBUSY'], 0],
  [['EBUSY', 'EPERM'], 1],
] as const)(
  'a device that is busy when it is set up is tried again, and goes home when it is refused: %o (host-device trap 22)',
  async ([refusals, status], { host, container }) => {
    makeDevice(host);
    const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
    const one = given(host, container, { device: 'd0' });
    // The first is the move.
    const answers: (string | undefined)[] = [undefined, ...refusals];
    onKernelWrite((name) => {
      const refusal = name === 'RTM_SETLINK' ? answers.shift() : undefined;
      if (refusal) throw new SyscallError(name, refusal);
    });
    const answer = await call(hostDevice, 'ADD', one).finally(() => onKernelWrite(undefined));
    expect(answer.status, answer.stdout).toBe(status);
    expect(answers).toEqual([]);
    if (status === 0) {
      expect(link(container, 'eth0').flags).toContain('UP');
      return;
    }
    expect(answer.error?.msg).toMatch(
      /^failed to move link failed to set "eth0" up: operation not permitted/,
    );
    expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
  },
);

describe('CHECK', () => {
  test('says what is not as ADD left it, in the known words (host-device 19)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    const one = given(host, container, { device: 'd0' });
    const { result } = await succeed(hostDevice, 'ADD', one);
    await succeed(hostDevice, 'CHECK', { ...one, prevResult: result });
    expect(await message(call(hostDevice, 'CHECK', one))).toBe('Required prevResult missing');
    const interfaces = [{ name: 'eth0', mac: '02:00:00:00:00:99', sandbox: container.path }];
    const other = { ...one, prevResult: { cniVersion: '1.1.0', interfaces } };
    expect(await message(call(hostDevice, 'CHECK', other))).toBe(
      `Interface eth0 Mac 02:00:00:00:00:99 doesn't match container Mac: ${mac}`,
    );
    const eth5 = {
      ...one,
      ifname: 'eth5',
      prevResult: { interfaces: [{ name: 'eth5', sandbox: container.path }] },
    };
    expect(await message(call(hostDevice, 'CHECK', eth5))).toBe(
      'Container Interface name in prevResult: eth5 not found',
    );
    expect(await message(call(hostDevice, 'CHECK', { ...one, prevResult: { ips: [] } }))).toBe(
      `Sandbox in prevResult  doesn't match configured netns: ${container.path}`,
    );
  });
});

describe('STATUS', () => {
  test('looks at no device, and asks IPAM (host-device 20)', async ({ host, container }) => {
    await succeed(hostDevice, 'STATUS', given(host, container, {}));
    const script = `#!/bin/sh\necho '{"code":50,"msg":"full"}'\nexit 1\n`;
    writeProgram(`${host.bin}/fake`, script);
    const answer = await call(hostDevice, 'STATUS', given(host, container, { ipam: { type: 'fake' } }));
    expect(answer.error).toMatchObject({ code: 50, msg: 'full' });
  });
});

test('of every released version the result is told, and without addresses there is none before 0.3.0 (host-device 1)', async ({
  host,
  container,
}) => {
  makeDevice(host);
  const before = snapshot(undefined, host.dir);
  for (const cniVersion of ['0.1.0', '0.2.0']) {
    const one = given(host, container, { device: 'd0', cniVersion });
    expect(await message(call(hostDevice, 'ADD', one))).toBe('cannot convert: no valid IP addresses');
    expect(snapshot(undefined, host.dir)).toEqual(before);
  }
  const { result } = await succeed(
    hostDevice,
    'ADD',
    given(host, container, { device: 'd0', cniVersion: '0.4.0' }),
  );
  expect(result).toEqual({
    cniVersion: '0.4.0',
    interfaces: [{ name: 'eth0', mac, sandbox: container.path }],
    dns: {},
  });
});

test('IPv6 with a gateway, and a static address of each family, are on the device (host-device 14)', async ({
  host,
  container,
}) => {
  makeDevice(host);
  pluginFolder(host, 'static', 'host-local');
  const addresses = [{ address: '10.9.0.2/24' }, { address: 'fd00:9::2/64', gateway: 'fd00:9::1' }];
  const ipam = { type: 'static', addresses, routes: [{ dst: '::/0' }] };
  await succeed(
    hostDevice,
    'ADD',
    given(host, container, { device: 'd0', ipam }, { plugins: [staticPlugin, hostLocal] }),
  );
  expect(container.sh('ip -br address show eth0')).toMatch(/10\.9\.0\.2\/24.*fd00:9::2\/64/);
  expect(container.sh('ip -6 route show default')).toContain('via fd00:9::1 dev eth0');
});
