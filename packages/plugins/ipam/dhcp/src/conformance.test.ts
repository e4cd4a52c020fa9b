/** dhcp as every IPAM plugin: with a daemon, and dnsmasq for a server. */
import { ipamConformance } from '@cni-ts/testing/ipam-conformance';
import type { Container, Host } from '@cni-ts/testing/namespaces';
import { isThere, Lab } from '../test/dhcp-lab.ts';
import { dhcp } from './dhcp.ts';

/** The bridge is the server's, so that the host has nothing of the containers' links. */
const labs = new Map<Host, Lab & { server?: Container }>();

if (isThere('dnsmasq')) {
  ipamConformance(dhcp, [
    {
      title: 'leases of dnsmasq',
      memory: 'elsewhere',
      chosenElsewhere: 'the server chooses, when it is asked',
      whereStateIs: ['daemonSocketPath'],
      async prepare(host) {
        const server = host.container('server');
        server.sh('ip link set lo up; ip link add srv0 type bridge forward_delay 0; ip link set srv0 up');
        server.sh('ip addr add 192.168.7.1/24 dev srv0');
        const lab = Object.assign(new Lab({ host, end: () => undefined }), { server });
        labs.set(host, lab);
        await lab.dnsmasq(server);
        await lab.daemon();
      },
      async end(host) {
        await labs.get(host)?.[Symbol.asyncDispose]();
        labs.delete(host);
      },
      config: (host) => ({ ipam: { type: 'dhcp', daemonSocketPath: labs.get(host)?.socket } }),
      other: (host) => ({
        ipam: { type: 'dhcp', daemonSocketPath: labs.get(host)?.socket, use: ['dns'], priority: 7 },
      }),
      look: (host) => labs.get(host)?.kept.toSorted(),
      link(host, container, containerId) {
        const server = labs.get(host)?.server;
        for (const name of ['eth0', 'net1']) {
          const end = `${name}-${containerId}`.slice(0, 15);
          host.sh(
            `ip link add ${end} netns ${server?.path} type veth peer name ${name} netns ${container.path}`,
          );
          server?.sh(`ip link set ${end} master srv0 up`);
          container.sh(`ip link set ${name} up`);
        }
      },
    },
  ]);
}
