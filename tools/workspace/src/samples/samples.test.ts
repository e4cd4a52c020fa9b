/** How much a new plugin takes: two samples keep every promise of the suite. */
import { conformance } from '@cni-ts/testing/conformance';
import { guard } from './guard.ts';
import { macvtap } from './macvtap.ts';

conformance(macvtap, [
  {
    title: 'a main plugin of a new kind of link',
    withoutAddress: true,
    prepare: (host) => host.sh('ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up'),
    config: () => ({ master: 'm0' }),
    tamperings: {
      'the link is gone': { by: (_, c) => c.sh('ip link del eth0'), says: /eth0 is gone/ },
      'the link is down': { by: (_, c) => c.sh('ip link set eth0 down'), says: /eth0 is down/ },
    },
  },
]);

conformance(guard, [
  {
    title: 'a meta plugin with two rules',
    before(_, container) {
      container.sh('ip link add eth0 type bridge; ip address add 10.9.0.2/24 dev eth0; ip link set eth0 up');
      return {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'eth0', sandbox: container.path }],
        ips: [{ address: '10.9.0.2/24', interface: 0 }],
      };
    },
    config: () => ({ port: 25 }),
    tamperings: {
      'a rule is gone': {
        by: (host) =>
          host.sh(
            `nft delete rule inet cni_guard forward handle $(nft -a list table inet cni_guard | sed -n 's/.*saddr.*handle //p')`,
          ),
        says: /saddr 10\.9\.0\.2 tcp dport 25 drop.*is missing/,
      },
      'all rules are gone': { by: (host) => host.sh('nft flush ruleset'), says: /is missing/ },
    },
  },
]);
