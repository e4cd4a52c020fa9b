/** Devices by what sysfs tells of them: a tree of our own stands in its place, in a mount namespace of this test's. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mount, unshareMounts } from '@cni-ts/libc/mount';
import { type Call, call, fakeIpam, message, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { beforeAll, beforeEach, describe, expect } from 'vitest';
import { hostDevice } from './host-device.ts';

const mac = '02:00:00:00:00:10';
const address = '0000:00:1f.6';
const pci = `/sys/bus/pci/devices/${address}`;
const aux = 'mlx5_core.sf.4';

beforeAll(() => {
  unshareMounts();
  for (const folder of ['/sys/bus', '/sys/devices']) mount('tmpfs', folder, 'tmpfs', 0);
});

beforeEach(() => {
  for (const folder of ['/sys/bus/pci', '/sys/bus/auxiliary'])
    rmSync(folder, { recursive: true, force: true });
});

function folder(path: string): void {
  mkdirSync(path, { recursive: true });
}

function bind(driver: string): void {
  folder(`/sys/bus/pci/drivers/${driver}`);
  folder(pci);
  rmSync(`${pci}/driver`, { force: true });
  symlinkSync(`../../drivers/${driver}`, `${pci}/driver`);
}

function given(host: Host, container: Container, config: object, more: Partial<Call> = {}): Call {
  const dataDir = `${host.dir}/devices`;
  const full = { cniVersion: '1.1.0', name: 'net1', type: 'host-device', dataDir, ...config };
  return { config: full, container, path: host.bin, ...more };
}

const byRuntime = (deviceID: string) => ({ runtimeConfig: { deviceID } });

function makeDevice(host: Host): void {
  host.sh(`ip link add d0 address ${mac} type veth peer name p0; ip link set p0 up; ip link set d0 up`);
}

/** That ADD moves d0, and DEL takes it home. */
async function moves(host: Host, container: Container, config: object): Promise<void> {
  const one = given(host, container, config);
  await succeed(hostDevice, 'ADD', one);
  expect(JSON.parse(container.sh('ip -j link show eth0'))[0]).toMatchObject({ address: mac, ifalias: 'd0' });
  await succeed(hostDevice, 'DEL', one);
  expect(host.succeeds('ip link show d0')).toBe(true);
}

describe('kernelpath', () => {
  test('must lie below /sys/devices, by whatever detour (host-device 5)', async ({ host, container }) => {
    for (const path of ['/sys/class/net/d0', '/sys/devices/../class', 'sys/devices/x', '/sys/devices']) {
      expect(await message(call(hostDevice, 'ADD', given(host, container, { kernelpath: path })))).toBe(
        `failed to find host device: kernel device path "${path}" must be absolute and begin with /sys/devices/`,
      );
    }
  });

  test('finds the link in its folder net (host-device 5)', async ({ host, container }) => {
    makeDevice(host);
    folder('/sys/devices/pci0000:00/x/net/d0');
    await moves(host, container, { kernelpath: '/sys/devices/pci0000:00/./y/../x' });
    expect(
      await message(call(hostDevice, 'ADD', given(host, container, { kernelpath: '/sys/devices/none' }))),
    ).toBe(
      'failed to find host device: failed to read directory /sys/devices/none/net: ' +
        '"open /sys/devices/none/net: no such file or directory"',
    );
  });
});

describe('a PCI address', () => {
  test('finds the link of the device, or of the virtio device below it (host-device 6, trap 26)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    bind('e1000e');
    folder(`${pci}/net/d0`);
    await moves(host, container, { pciBusID: address });
    rmSync(`${pci}/net`, { recursive: true });
    folder(`${pci}/virtio3/net/d0`);
    await moves(host, container, { pciBusID: address });
    rmSync(`${pci}/virtio3`, { recursive: true });
    expect(await message(call(hostDevice, 'ADD', given(host, container, { pciBusID: address })))).toBe(
      `failed to find host device: no net directory under pci device ${address}`,
    );
    folder(`${pci}/net`);
    expect(await message(call(hostDevice, 'ADD', given(host, container, { pciBusID: address })))).toMatch(
      `failed to find host device: failed to find network device in path ${pci}/net`,
    );
  });

  test('that is unknown, or of a device without driver, is an error of ADD, not of DEL (host-device 7, trap 21)', async ({
    host,
    container,
  }) => {
    const one = given(host, container, { pciBusID: address });
    expect(await message(call(hostDevice, 'ADD', one))).toBe(
      `error with host device: lstat ${pci}: no such file or directory`,
    );
    folder(pci);
    expect(await message(call(hostDevice, 'ADD', one))).toBe(
      `error with host device: lstat ${pci}/driver: no such file or directory`,
    );
    await succeed(hostDevice, 'DEL', one);
  });

  test('DEL takes the device home and releases its address when sysfs has nothing of it any more (host-device trap 21)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    bind('e1000e');
    folder(`${pci}/net/d0`);
    const log = fakeIpam(host.bin, 'fake', { cniVersion: '1.1.0', ips: [{ address: '10.9.0.2/24' }] });
    const one = given(host, container, { pciBusID: address, ipam: { type: 'fake' } });
    await succeed(hostDevice, 'ADD', one);
    rmSync('/sys/bus/pci', { recursive: true });
    await succeed(hostDevice, 'DEL', one);
    expect(host.succeeds('ip link show d0')).toBe(true);
    expect(log()).toEqual(['ADD', 'DEL']);
  });
});

describe('a driver for user space', () => {
  test.for(['vfio-pci', 'uio_pci_generic', 'igb_uio'])(
    '(%s) has the device: nothing is moved, and all verbs work (host-device 8, trap 20)',
    async (driver, { host, container }) => {
      bind(driver);
      const one = given(host, container, { pciBusID: address });
      const before = { host: snapshot(undefined, host.dir), container: snapshot(container.netns) };
      const { result } = await succeed(hostDevice, 'ADD', one);
      expect(result).toEqual({
        cniVersion: '1.1.0',
        interfaces: [{ name: 'eth0', sandbox: container.path }],
      });
      await succeed(hostDevice, 'CHECK', { ...one, prevResult: {} });
      await succeed(hostDevice, 'CHECK', { ...one, prevResult: result });
      expect(JSON.parse((await succeed(hostDevice, 'PLAN', one)).stdout)).toMatchObject({ changes: [] });
      await succeed(hostDevice, 'DEL', one);
      expect({ host: snapshot(undefined, host.dir), container: snapshot(container.netns) }).toEqual(before);
      // The driver was unbound meanwhile.
      rmSync('/sys/bus/pci', { recursive: true });
      await succeed(hostDevice, 'CHECK', { ...one, prevResult: result });
      await succeed(hostDevice, 'DEL', one);
    },
  );

  test('leaves the addresses of IPAM in the result and sets none (host-device 8)', async ({
    host,
    container,
  }) => {
    bind('vfio-pci');
    const log = fakeIpam(host.bin, 'fake', {
      cniVersion: '1.1.0',
      ips: [{ address: '10.9.0.2/24' }],
      routes: [{ dst: '0.0.0.0/0' }],
    });
    const one = given(host, container, { ...byRuntime(address), ipam: { type: 'fake' } });
    const { result } = await succeed(hostDevice, 'ADD', one);
    expect(result?.ips).toEqual([{ address: '10.9.0.2/24', interface: 0 }]);
    expect(container.sh('ip -o link').trim().split('\n')).toHaveLength(1);
    await succeed(hostDevice, 'DEL', one);
    expect(log()).toEqual(['ADD', 'DEL']);
  });

  test('of the deviceID contradicts a device of the configuration (host-device trap 19)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    bind('vfio-pci');
    expect(
      await message(call(hostDevice, 'ADD', given(host, container, { device: 'd0', ...byRuntime(address) }))),
    ).toContain(`device is "d0", and ${address} is bound to a driver for user space`);
    expect(host.succeeds('ip link show d0')).toBe(true);
  });
});

describe('the deviceID of the runtime', () => {
  test('is a PCI address or the name of an auxiliary device, and comes before pciBusID (host-device 9)', async ({
    host,
    container,
  }) => {
    makeDevice(host);
    bind('e1000e');
    folder(`${pci}/net/d0`);
    await moves(host, container, byRuntime(address));
    rmSync(`${pci}/net`, { recursive: true });
    folder(`/sys/bus/auxiliary/devices/${aux}/net/d0`);
    await moves(host, container, { ...byRuntime(aux), pciBusID: address });
  });

  test('that sysfs does not have is an error, also where it is a path (host-device 9)', async ({
    host,
    container,
  }) => {
    writeFileSync('/sys/bus/secret', '');
    for (const id of ['nope', '../../../secret', '..']) {
      expect(await message(call(hostDevice, 'ADD', given(host, container, byRuntime(id))))).toBe(
        `runtime config DeviceID ${id} not found or unsupported`,
      );
    }
  });
});

test('a wireless device is refused with the reason (host-device trap 14)', async ({ host, container }) => {
  host.sh('ip link add wlan0 type bridge');
  mount('tmpfs', '/sys/class/net', 'tmpfs', 0);
  folder('/sys/class/net/wlan0/phy80211');
  expect(await message(call(hostDevice, 'ADD', given(host, container, { device: 'wlan0' })))).toContain(
    'tempNS: invalid argument',
  );
  expect(await message(call(hostDevice, 'ADD', given(host, container, { device: 'wlan0' })))).toContain(
    '"wlan0" is wireless',
  );
});
