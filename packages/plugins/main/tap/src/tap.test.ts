import { hostLocal } from '@cni-ts/host-local/host-local';
import type { Case } from '@cni-ts/testing/case';
import { conformance } from '@cni-ts/testing/conformance';
import { ownLinks } from '@cni-ts/testing/own-links';
import { tap } from './tap.ts';

const withIpam: Case = {
  title: 'tap with addresses of both families',
  plugins: [hostLocal],
  config: (host) => ({
    multiQueue: true,
    owner: 77,
    mtu: 1400,
    ipam: {
      type: 'host-local',
      dataDir: `${host.dir}/networks`,
      ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1::/64' }]],
      routes: [{ dst: '10.8.0.0/16' }, { dst: '::/0' }],
    },
  }),
  tamperings: {
    'link gone': { by: (_, c) => void c.sh('ip link del eth0'), says: /^Cannot find container link eth0/ },
    'another link of the name': {
      by: (_, c) => void c.sh('ip link del eth0; ip link add eth0 type bridge'),
      says: /^Error: Container interface eth0 not of type tap/,
    },
    'MAC changed': {
      by: (_, c) => void c.sh('ip link set eth0 address 02:00:00:00:00:99'),
      says: /^Interface eth0 Mac .* doesn't match container Mac: 02:00:00:00:00:99/,
    },
    'MTU changed': {
      by: (_, c) => void c.sh('ip link set eth0 mtu 1300'),
      says: /tap eth0 has mtu 1300, not 1400/,
    },
    'another owner, and one queue': {
      by(_, c) {
        const mac = c.sh('ip -o link show eth0').match(/ether (\S+)/)?.[1];
        c.sh(`ip link del eth0; ip tuntap add mode tap name eth0 user 78
          ip link set eth0 address ${mac} mtu 1400; ip link set eth0 up`);
      },
      says: /tap eth0 has multiQueue false, not true.*tap eth0 has owner 78, not 77/,
    },
    'link down': { by: (_, c) => void c.sh('ip link set eth0 down'), says: /Interface eth0 is down/ },
    'address gone': {
      by: (_, c) => void c.sh('ip address del 10.1.2.2/24 dev eth0'),
      says: /Failed to match addr 10\.1\.2\.2\/24/,
    },
    'route gone': {
      by: (_, c) => void c.sh('ip route del 10.8.0.0/16'),
      says: /10\.8\.0\.0/,
    },
  },
};

conformance(tap, [withIpam, { title: 'tap without IPAM', withoutAddress: true, config: () => ({}) }]);

ownLinks(tap, withIpam, { hostLinks: false });
