import { hostLocal } from '@cni-ts/host-local/host-local';
import { succeed } from '@cni-ts/testing/call';
import { conformance } from '@cni-ts/testing/conformance';
import { test } from '@cni-ts/testing/namespaces';
import { ownLinks } from '@cni-ts/testing/own-links';
import { expect } from 'vitest';
import { __plugin__ } from './__name__.ts';

const withAddress = {
  title: '__name__',
  plugins: [hostLocal],
  config: (host: { dir: string }) => ({
    ipam: { type: 'host-local', dataDir: `${host.dir}/networks`, subnet: '10.1.2.0/24' },
  }),
};

conformance(__plugin__, [
  {
    ...withAddress,
    // Each must be found by CHECK and healed by REPAIR.
    tamperings: {
      'the link is gone': { by: (_, c) => c.sh('ip link del eth0'), says: /no link eth0/ },
      'the link is down': { by: (_, c) => c.sh('ip link set eth0 down'), says: /eth0 in the container is down/ },
      'the address is gone': {
        by: (_, c) => c.sh('ip address flush dev eth0 scope global'),
        says: /10\.1\.2\.2\/24/,
      },
    },
  },
  { title: '__name__ without IPAM', withoutAddress: true, config: () => ({ mtu: 1400 }) },
]);

ownLinks(__plugin__, withAddress, { hostLinks: true });

test('both ends have the MTU of the configuration (__name__ 3)', async ({ host, container }) => {
  const config = { cniVersion: '1.1.0', name: 'net1', type: '__name__', mtu: 1400 };
  const { result } = await succeed(__plugin__, 'ADD', { config, container });
  const mtu = (place: { sh(command: string): string }, link = '') =>
    JSON.parse(place.sh(`ip -j link show ${link}`))[0].mtu;
  expect([mtu(container, 'eth0'), mtu(host, result?.interfaces?.[0]?.name)]).toEqual([1400, 1400]);
});
