import { call, succeed } from '@cni-ts/testing/call';
import { ipamConformance } from '@cni-ts/testing/ipam-conformance';
import { test } from '@cni-ts/testing/namespaces';
import { expect } from 'vitest';
import { __plugin__ } from './__name__.ts';

const ipam = (subnet: string, { dir }: { dir: string }) => ({
  ipam: { type: '__name__', subnet, dataDir: `${dir}/addresses` },
});

ipamConformance(__plugin__, [
  {
    title: '__name__',
    config: (host) => ipam('10.1.2.0/24', host),
    // Each must be found by CHECK and healed by REPAIR.
    tamperings: {
      'the reservation is gone': {
        by: (host) => host.sh(`rm ${host.dir}/addresses/*/10.1.2.2`),
        says: /Failed to find address added by container c1/,
      },
    },
  },
  { title: '__name__, IPv6', config: (host) => ipam('2001:db8::/64', host) },
]);

test('when all addresses are taken ADD says so (__name__ 3)', async ({ host }) => {
  const config = { cniVersion: '1.1.0', name: 'net1', ...ipam('10.1.2.0/30', host) };
  const { result } = await succeed(__plugin__, 'ADD', { config, containerId: 'c1', netns: '/none' });
  expect(result?.ips).toEqual([{ address: '10.1.2.2/30', gateway: '10.1.2.1' }]);
  const { error } = await call(__plugin__, 'ADD', { config, containerId: 'c2', netns: '/none' });
  expect(error?.msg).toContain('no IP addresses available in range set: 10.1.2.1-10.1.2.2');
});
