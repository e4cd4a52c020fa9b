import { conformance } from '@cni-ts/testing/conformance';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { firewall } from './firewall.ts';

/** As bridge leaves it: the host's end on a bridge, and eth0 inside. */
function attached(host: Host, container: Container, id: string): object {
  const number = [...id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 200;
  host.sh('ip link show br0 2>/dev/null || ip link add br0 type bridge');
  container.sh(`ip link add eth0 type veth peer name p0`);
  return {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'br0' }, { name: 'veth0' }, { name: 'eth0', sandbox: container.path }],
    ips: [
      { address: `10.0.0.${number + 2}/24`, interface: 2 },
      { address: `2001:db8:1:2::${number + 2}/64`, interface: 2 },
    ],
  };
}

/** The tables that iptables makes when it is first used; they stay for good, and not because of us. */
const tables = 'for t in iptables ip6tables; do $t -P FORWARD DROP; done';
const dropTables = [
  'nft add table inet filter',
  "nft add chain inet filter forward '{ type filter hook forward priority 0; policy drop; }'",
  'nft add table ip filter',
  "nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'",
].join(' && ');

conformance(firewall, [
  {
    title: 'iptables',
    config: () => ({ backend: 'iptables' }),
    prepare: (host) => void host.sh(tables),
    before: attached,
    tamperings: {
      'the rule for what comes from the container is gone': {
        by: (host) => void host.sh('iptables -D CNI-FORWARD -s 10.0.0.150/32 -j ACCEPT'),
        says: /^expected rule \[-s 10\.0\.0\.150\/32 -j ACCEPT\] not found/,
      },
      'the administrator’s chain is not asked': {
        by: (host) => void host.sh('ip6tables -D CNI-FORWARD 1'),
        says: /^expected CNI-FORWARD rule \[-m comment --comment CNI firewall plugin admin overrides -j CNI-ADMIN\] not found/,
      },
      'somebody emptied FORWARD': {
        by: (host) => void host.sh('iptables -F FORWARD'),
        says: /^expected FORWARD rule \[-m comment --comment CNI firewall plugin rules -j CNI-FORWARD\] not found/,
      },
    },
  },
  {
    title: 'nftables',
    config: () => ({ backend: 'nftables' }),
    prepare: (host) => void host.sh(dropTables),
    before: attached,
    tamperings: {
      'the table is gone': {
        by: (host) => void host.sh('nft delete table inet cni_plugins_firewall'),
        says: /expected chain inet cni_plugins_firewall forward not found/,
      },
      'another firewall’s chain does not ask ours': {
        by: (host) => void host.sh('nft flush chain inet filter forward'),
        says: /expected rule \[jump CNI-FORWARD .*\] not found in chain inet filter forward/,
      },
      'another firewall appeared': {
        by: (host) =>
          void host.sh(
            `nft add table ip late; nft add chain ip late f '{ type filter hook forward priority 5; policy drop; }'`,
          ),
        says: /expected rule \[jump CNI-FORWARD .*\] not found in chain ip late f/,
      },
    },
  },
]);
