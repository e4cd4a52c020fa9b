/** Which link a device of a bus has, by sysfs as it is mounted for the plugin. */
import { realPath } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { messageOf } from '@cni-ts/spec/cni-error';
import { type Config, checkNamed } from './config.ts';

const pci = '/sys/bus/pci/devices';
const auxiliary = '/sys/bus/auxiliary/devices';

/** Drivers that hand a PCI device to a program (DPDK): it has no link then. */
const userSpaceDrivers = ['vfio-pci', 'uio_pci_generic', 'igb_uio'];

/** A device of a bus, as the configuration and the runtime name it. */
export interface BusDevice {
  readonly bus: 'pci' | 'auxiliary';
  readonly name: string;
}

/** The runtime's `deviceID` counts before `pciBusID`; sysfs tells which bus it is of. */
export function busDevice({ deviceId, pciBusId }: Config): BusDevice | undefined {
  if (deviceId) {
    if (isThere(pci, deviceId)) return { bus: 'pci', name: deviceId };
    if (isThere(auxiliary, deviceId)) return { bus: 'auxiliary', name: deviceId };
    throw new Error(`runtime config DeviceID ${deviceId} not found or unsupported`);
  }
  return pciBusId ? { bus: 'pci', name: pciBusId } : undefined;
}

/** A name with a slash is a path elsewhere, and none of a device. */
function isThere(folder: string, name: string): boolean {
  return !name.includes('/') && name !== '..' && tryStat(`${folder}/${name}`) !== undefined;
}

/** Whether a driver for programs of user space has the device. Throws where there is no such device, or no driver. */
export function isForUserSpace({ bus, name }: BusDevice): boolean {
  if (bus !== 'pci') return false;
  const device = `${pci}/${name}`;
  const missing = !isThere(pci, name)
    ? device
    : !tryStat(`${device}/driver`)
      ? `${device}/driver`
      : undefined;
  if (missing) throw new Error(`error with host device: lstat ${missing}: no such file or directory`);
  const driver = realPath(`${device}/driver`);
  return userSpaceDrivers.includes(driver.slice(driver.lastIndexOf('/') + 1));
}

/** Whether the configuration is about a device that has no link, for a driver of user space has it. */
export function wantsUserSpace(config: Config): boolean {
  checkNamed(config);
  const device = busDevice(config);
  if (!device || !isForUserSpace(device)) return false;
  if (!config.device) return true;
  throw new Error(
    `device is "${config.device}", and ${device.name} is bound to a driver for user space, which has no link: ` +
      'take one of the two out of the configuration',
  );
}

/** The name of the link of a device of a bus. */
export function linkOfBusDevice({ bus, name }: BusDevice): string {
  if (bus === 'auxiliary') return linkIn(`${auxiliary}/${name}/net`);
  const device = `${pci}/${name}`;
  if (tryStat(`${device}/net`)) return linkIn(`${device}/net`);
  // A virtio device is one of a bus of its own below.
  const below = (tryStat(device) ? listFolder(device) : []).filter((one) => one.startsWith('virtio')).sort();
  for (const one of below) if (tryStat(`${device}/${one}/net`)) return linkIn(`${device}/${one}/net`);
  throw new Error(`no net directory under pci device ${name}`);
}

/** The name of the link of the device in this folder of sysfs. */
export function linkOfKernelPath(path: string): string {
  const plain = normalized(path);
  if (path.startsWith('/') && plain.startsWith('/sys/devices/')) return linkIn(`${plain}/net`);
  throw new Error(`kernel device path ${JSON.stringify(path)} must be absolute and begin with /sys/devices/`);
}

function normalized(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

function linkIn(folder: string): string {
  let names: string[];
  try {
    names = listFolder(folder);
  } catch (error) {
    const why = JSON.stringify(messageOf(error));
    throw new Error(`failed to read directory ${folder}: ${why}`, { cause: error });
  }
  const [first] = names.sort();
  if (first !== undefined) return first;
  throw new Error(`failed to find network device in path ${folder}: no link of it is in this namespace`);
}
