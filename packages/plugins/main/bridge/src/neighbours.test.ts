/** What the container and its neighbours on the bridge hear of each other. */
import { hostLocal } from '@cni-ts/host-local/host-local';
import { pluginFolder, succeed } from '@cni-ts/testing/call';
import { type Container, type Host, test } from '@cni-ts/testing/namespaces';
import { advertiseRouter, takesAdvertisements } from '@cni-ts/testing/router-advertisement';
import { describe, expect } from 'vitest';
import { bridge } from './bridge.ts';

/** Attaches a container with these addresses, or takes it off. */
function network(host: Host) {
  const path = pluginFolder(host, 'host-local');
  const ranges = (ips: string[]) =>
    ips.map((ip) => [{ subnet: ip.includes(':') ? 'fd00::/64' : '10.1.2.0/24' }]);
  return (
    container: Container,
    containerId: string,
    ips: string[],
    more: object = {},
    command: 'ADD' | 'DEL' = 'ADD',
  ) => {
    const ipam = { type: 'host-local', dataDir: `${host.dir}/networks`, ranges: ranges(ips) };
    const own = { isGateway: true, ipam, args: { cni: { ips } }, ...more };
    const config = { cniVersion: '1.1.0', name: 'net', type: 'bridge', ...own };
    return succeed(bridge, command, { config, container, containerId, path, plugins: [hostLocal] });
  };
}

/** A link that nobody has told anything, on the same bridge. */
function plainOne(host: Host): Container {
  const plain = host.container('plain');
  host.sh(`ip link add hp type veth peer name eth0 netns ${plain.path}; ip link set hp master cni0 up`);
  plain.sh('ip link set eth0 up');
  return plain;
}

describe('a neighbour’s router advertisement', () => {
  test.for([
    ['IPv4 alone', ['10.1.2.2']],
    ['both families', ['10.1.2.2', 'fd00::2']],
  ] as const)('gives a container with %s neither address nor route', async ([, own], { host, container }) => {
    const attach = network(host);
    await attach(container, 'c1', [...own]);
    const rogue = host.container('rogue');
    await attach(rogue, 'rogue', ['10.1.2.9', 'fd00::9']);
    await advertiseRouter(rogue, 'eth0', plainOne(host));
    expect(takesAdvertisements(container), container.sh('ip -6 addr; ip -6 route')).toBe(false);
    expect(takesAdvertisements(host), host.sh('ip -6 addr; ip -6 route')).toBe(false);
    for (const key of ['accept_ra', 'autoconf']) {
      expect(container.sh(`cat /proc/sys/net/ipv6/conf/eth0/${key}`).trim()).toBe('0');
    }
  });

  test('is a container’s own business where there is no IPAM', async ({ host, container }) => {
    const attach = network(host);
    await attach(container, 'c1', [], { isGateway: false, ipam: {} });
    const rogue = host.container('rogue');
    await attach(rogue, 'rogue', ['10.1.2.9', 'fd00::9']);
    await advertiseRouter(rogue, 'eth0', container);
  });
});

test.for([{}, { enabledad: true }, { hairpinMode: true, ipMasq: true }])(
  'an address that moves to another container is reached at once by neighbours that know the former one (%j)',
  async (more, { host, container }) => {
    const attach = network(host);
    const addresses = ['10.1.2.7', 'fd00::7'];
    const neighbour = host.container('neighbour');
    await attach(neighbour, 'neighbour', ['10.1.2.9', 'fd00::9']);
    const former = host.container('former');
    await attach(former, 'former', addresses);
    for (const place of [neighbour, host]) {
      place.sh('ping -c1 -W2 10.1.2.7 && ping -c1 -W2 fd00::7');
    }
    const mac = former.sh('cat /sys/class/net/eth0/address').trim();
    await attach(former, 'former', addresses, {}, 'DEL');
    // They have just heard of it, and ask again in half a minute.
    const warm = (dev: string) =>
      ['10.1.2.7', 'fd00::7']
        .map((ip) => `ip neigh replace ${ip} lladdr ${mac} dev ${dev} nud reachable`)
        .join('; ');
    neighbour.sh(warm('eth0'));
    host.sh(warm('cni0'));
    await attach(container, 'c1', addresses, more);
    for (const place of [neighbour, host]) {
      for (const ip of addresses) place.sh(`ping -c1 -W0.2 ${ip}`);
    }
  },
);
