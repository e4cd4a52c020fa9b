/**
 * host-device: moves one of the host's links into the container, and takes it home again. The container has it alone, with
 * all its hardware can do; the host has it no more meanwhile. A PCI device that a driver for user space has (DPDK) has no
 * link: nothing is moved then, and the result tells what IPAM gave.
 *
 * Without `ipam` the device has no address.
 */
import { tellNeighbours } from '@cni-ts/resource/announce';
import { addressing } from '@cni-ts/resource/link-addressing';
import { linkResult } from '@cni-ts/resource/link-result';
import { mainPlugin } from '@cni-ts/resource/main-plugin';
import { recordedInterfaces } from '@cni-ts/resource/recorded-interfaces';
import type { Site } from '@cni-ts/resource/site';
import { type Config, checkNamed, parse, schema } from './config.ts';
import { DeviceLasting } from './device-lasting.ts';
import { DeviceUp, MovedDevice } from './moved-device.ts';
import { wantsUserSpace } from './sysfs.ts';

/** CHECK must not fail because a device or its driver went: what ADD found is in its result. */
function isForUserSpace(config: Config, site: Site): boolean {
  try {
    return wantsUserSpace(config);
  } catch (error) {
    const entry = recordedInterfaces(site.request).findLast(({ name }) => name === site.ifname);
    if (!entry || entry.mac) throw error;
    return true;
  }
}

export const hostDevice = mainPlugin({
  type: 'host-device',
  config: schema,
  parse,
  refuse(config, { json }) {
    const { deviceID } = (json.capabilities ?? {}) as { deviceID?: unknown }; // reason: the schema has read it
    // The runtime will tell which.
    if (deviceID !== true) checkNamed(config);
  },
  ipam: ({ ipam }) => ipam,
  missing: 'Required prevResult missing',
  // A device may be plugged in after the configuration was written: STATUS only reads that.
  check: () => undefined,
  plan(config, site) {
    const { ifname } = site;
    const unseen = isForUserSpace(config, site);
    const interfaces = [{ at: 'container', name: ifname, unseen }] as const;
    const before = unseen ? [] : [new MovedDevice(config)];
    const up = new DeviceUp(ifname);
    if (!config.ipam) return { interfaces, before: unseen ? [] : [...before, up], result: {} };
    return {
      interfaces,
      before,
      after(given) {
        const result = linkResult(given, 0, config.dns);
        if (unseen) return { resources: [], result };
        const settings = () => tellNeighbours(ifname);
        const down = `Interface ${ifname} is down`;
        return { resources: addressing(ifname, given, { down, settings, up, yieldDefault: true }), result };
      },
    };
  },
  lasting: (config) => [new DeviceLasting(config)],
});
