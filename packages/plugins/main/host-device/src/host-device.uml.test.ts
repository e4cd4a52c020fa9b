/** Devices of kinds that not every kernel has: these run in user-mode Linux (`npm test` boots it). */
import { call } from '@cni-ts/testing/call';
import { test } from '@cni-ts/testing/namespaces';
import { snapshot } from '@cni-ts/testing/snapshot';
import { expect } from 'vitest';
import { hostDevice } from './host-device.ts';

test('a VLAN whose link is down cannot be set up in the container, and comes home (host-device 13)', async ({
  host,
  container,
}) => {
  host.sh(`ip link add m0 type veth peer name neighbour
    ip link add m0.5 link m0 type vlan id 5`);
  const before = snapshot(undefined, host.dir);
  const config = {
    cniVersion: '1.1.0',
    name: 'net1',
    type: 'host-device',
    dataDir: `${host.dir}/devices`,
    device: 'm0.5',
  };
  const { status, error } = await call(hostDevice, 'ADD', { config, container });
  expect(status).toBe(1);
  expect(error?.msg).toContain('failed to move link failed to set "eth0" up: network is down');
  expect(snapshot(undefined, host.dir)).toEqual(before);
  expect(container.sh('ip -br link')).not.toContain('eth0');
});
