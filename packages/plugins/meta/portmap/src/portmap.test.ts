import { conformance } from '@cni-ts/testing/conformance';
import type { Host } from '@cni-ts/testing/namespaces';
import { connect, mappings } from '@cni-ts/testing/published-ports';
import { portmap } from './portmap.ts';

const ports = mappings([8080, 80], [5353, 53, 'udp', '10.254.0.1'], [8443, 443, 'tcp', '::']);
/** A port has one owner. */
const runtime = (containerId: string) =>
  containerId === 'lost'
    ? mappings([9080, 80], [9353, 53, 'udp', '10.254.0.1'], [9443, 443, 'tcp', '::'])
    : {};
let links = 0;

/** The n-th rule of a chain that contains a text, deleted behind the plugin's back. */
const deleteRule = (host: Host, family: 'ip' | 'ip6', chain: RegExp, text: string) => {
  const listed = host.sh(`nft -a list table ${family} cni_hostport`);
  let current = '';
  for (const line of listed.split('\n')) {
    current = /chain (\S+)/.exec(line)?.[1] ?? current;
    const handle = /# handle (\d+)/.exec(line)?.[1];
    if (chain.test(current) && line.includes(text) && handle && !/chain/.test(line)) {
      host.sh(`nft delete rule ${family} cni_hostport ${current} handle ${handle}`);
      return;
    }
  }
  throw new Error(`no rule with "${text}" in ${listed}`);
};

const before: Parameters<typeof conformance>[1][number]['before'] = (host, container, containerId) =>
  connect(host, container, `hv${++links}`, containerId === 'lost' ? 3 : 2);

conformance(portmap, [
  {
    title: 'portmap by nftables',
    config: () => ({ backend: 'nftables', ...ports }),
    before,
    runtime,
    tamperings: {
      'the table is gone': {
        by: (host) => void host.sh('nft delete table ip6 cni_hostport'),
        says: /missing hostport rules in "hostports" chain/,
      },
      'a redirection is gone': {
        by: (host) => deleteRule(host, 'ip', /^dnat-/, 'udp dport 5353'),
        says: /^missing hostport rules in "hostports" chain: rule "ip daddr 10\.254\.0\.1 udp dport 5353 /,
      },
      'a redirection leads elsewhere': {
        by: (host) =>
          void host.sh(`chain=$(nft list table ip cni_hostport | grep -o 'chain dnat-[0-9a-f]*' | cut -d' ' -f2)
            nft -f - <<<"flush chain ip cni_hostport $chain
            add rule ip cni_hostport $chain tcp dport 8080 dnat to 10.254.0.9:80"`),
        says: /^missing hostport rules in "hostports" chain: rule "tcp dport 8080 dnat to 10\.254\.0\.2:80/,
      },
      'masquerading is gone': {
        by: (host) => deleteRule(host, 'ip6', /^masq-/, 'masquerade'),
        says: /^missing hostport rules in "masquerading" chain/,
      },
      'a key is gone': {
        by: (host) => void host.sh('nft delete element ip cni_hostport owner_by_port "{ tcp . 8080 }"'),
        says: /tcp \. 8080 in map owner_by_port of table ip cni_hostport leads nowhere/,
      },
      'nobody looks at packets from outside': {
        by: (host) => void host.sh('nft flush chain ip cni_hostport prerouting'),
        says: /^rule "fib daddr type local jump hostports_all" is missing in chain prerouting/,
      },
      'nobody looks at packets of the host': {
        by: (host) => void host.sh('nft flush chain ip6 cni_hostport output'),
        says: /is missing in chain output of table ip6 cni_hostport/,
      },
      'connections to 127.0.0.1 are dropped': {
        by: (host) => void host.sh('sysctl -qw net.ipv4.conf.br254.route_localnet=0'),
        says: /^net\/ipv4\/conf\/br254\/route_localnet is 0/,
      },
    },
  },
  {
    title: 'portmap by iptables',
    config: () => ({ backend: 'iptables', ...ports }),
    before,
    runtime,
    keeps: { members: ['nftables'], because: 'iptables makes its built-in chains when it is first used' },
    tamperings: {
      'a redirection is gone': {
        by: (host) =>
          void host.sh(
            'chain=$(iptables -t nat -S | grep -o "N CNI-DN-.*" | cut -c3-); iptables -t nat -D $chain 3',
          ),
        says: /^could not check ipv4 dnat: rule \[\[.*\]\] in chain CNI-DN-[0-9a-f]{21} not found in table nat/,
      },
      'the chain is gone': {
        by: (host) => void host.sh('ip6tables -t nat -F CNI-HOSTPORT-DNAT; nft delete table ip6 nat'),
        says: /^could not check ipv6 dnat: chain CNI-DN-[0-9a-f]{21} not found in iptables table nat/,
      },
      'nothing leads to the chain': {
        by: (host) => void host.sh('iptables -t nat -F CNI-HOSTPORT-DNAT'),
        says: /in chain CNI-HOSTPORT-DNAT not found in table nat/,
      },
      'nobody looks at packets from outside': {
        by: (host) => void host.sh('iptables -t nat -D PREROUTING 1'),
        says: /in chain PREROUTING not found in table nat/,
      },
      'the mark is not set': {
        by: (host) => void host.sh('iptables -t nat -F CNI-HOSTPORT-SETMARK'),
        says: /in chain CNI-HOSTPORT-SETMARK not found in table nat/,
      },
      'nothing is masqueraded': {
        by: (host) => void host.sh('iptables -t nat -F CNI-HOSTPORT-MASQ'),
        says: /in chain CNI-HOSTPORT-MASQ not found in table nat/,
      },
    },
  },
]);
