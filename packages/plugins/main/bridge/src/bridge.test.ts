import { hostLocal } from '@cni-ts/host-local/host-local';
import { conformance } from '@cni-ts/testing/conformance';
import { bridge } from './bridge.ts';

conformance(bridge, [
  {
    title: 'L2',
    withoutAddress: true,
    config: () => ({ bridge: 'br0', hairpinMode: true, portIsolation: true }),
    tamperings: {
      'the link is gone': {
        by: (_, c) => void c.sh('ip link del eth0'),
        says: /Interface name veth.* not found|Interface name eth0 not found/,
      },
    },
  },
  {
    title: 'a dual-stack gateway',
    plugins: [hostLocal],
    config: (host) => ({
      isDefaultGateway: true,
      ipam: {
        type: 'host-local',
        dataDir: `${host.dir}/networks`,
        ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: '2001:db8::/64' }]],
      },
    }),
  },
]);
