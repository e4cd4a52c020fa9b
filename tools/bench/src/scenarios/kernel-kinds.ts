/** Plugins whose kind of link not every kernel has, and the one that asks a server. */
import { existsSync } from 'node:fs';
import { addressInContainer, type Check, linkInContainer, reservation } from '../check.ts';
import type { Host } from '../host.ts';
import { attachments } from '../scenario.ts';
import { ipam, uplink } from './single.ts';

const checks = [addressInContainer, linkInContainer, reservation];
const vrf = 'blue';

const inVrf: Check = {
  what: `its interface in the VRF ${vrf}`,
  traces: ({ host, netns }) => {
    const seen = host.sh(`ip -n ${netns.replace(/.*\//, '')} -o link show master ${vrf} 2>&- || true`);
    return seen.split('\n').filter((line) => line !== '');
  },
};

export const kernelKinds = [
  attachments({
    name: 'vlan',
    title: 'vlan + host-local',
    types: ['vlan', 'host-local'],
    kinds: ['vlan'],
    targets: { ADD: 0.4 },
    prepare: uplink,
    network: (host) => ({
      name: 'vlan',
      plugins: [{ type: 'vlan', master: 'uplink', vlanId: 5, ipam: ipam(host) }],
    }),
    checks,
  }),
  attachments({
    name: 'ipvlan',
    title: 'ipvlan + host-local',
    types: ['ipvlan', 'host-local'],
    kinds: ['ipvlan'],
    targets: { ADD: 0.4 },
    prepare: uplink,
    network: (host) => ({
      name: 'ipvlan',
      plugins: [{ type: 'ipvlan', master: 'uplink', ipam: ipam(host) }],
    }),
    checks,
  }),
  attachments({
    name: 'dummy',
    title: 'dummy + host-local',
    types: ['dummy', 'host-local'],
    kinds: ['dummy'],
    targets: { ADD: 0.4 },
    network: (host) => ({ name: 'dummy', plugins: [{ type: 'dummy', ipam: ipam(host) }] }),
    checks,
  }),
  attachments({
    name: 'ptp-vrf',
    title: 'ptp + vrf',
    types: ['ptp', 'host-local', 'vrf'],
    kinds: ['vrf'],
    targets: { ADD: 0.4 },
    details: true,
    network: (host) => ({
      name: 'vrf',
      plugins: [
        { type: 'ptp', ipam: ipam(host) },
        { type: 'vrf', vrfname: vrf },
      ],
    }),
    checks: [...checks, inVrf],
  }),
  attachments({
    name: 'dhcp',
    title: 'macvlan + dhcp, with a daemon and dnsmasq',
    types: ['macvlan', 'dhcp'],
    kinds: ['macvlan'],
    programs: ['dnsmasq'],
    targets: { ADD: 0.4 },
    prepare: lease,
    network: (host) => ({
      name: 'leased',
      plugins: [
        { type: 'macvlan', master: 'uplink', ipam: { type: 'dhcp', daemonSocketPath: socketOf(host) } },
      ],
    }),
    checks: [addressInContainer, linkInContainer],
  }),
];

const socketOf = (host: Host) => `${host.dir}/dhcp.sock`;

/** A server behind the uplink, and this side's daemon. Both end with the bench's processes. */
function lease(host: Host): void {
  uplink(host);
  const server = [
    ...['dnsmasq', '--conf-file=/dev/null', '--no-daemon', '--port=0', '--interface=wire', '--bind-dynamic'],
    ...['--dhcp-authoritative', '--no-ping', '--leasefile-ro', '--user=root', '--pid-file='],
    '--dhcp-range=10.22.0.10,10.22.255.250,255.255.0.0,1h',
  ];
  const state = host.side.name === 'ours' ? ['-statedir', `${host.dir}/leases`] : [];
  const daemon = [host.file('dhcp'), 'daemon', '-socketpath', socketOf(host), ...state];
  const [apart, end] = ['</dev/null >/dev/null 2>&1 &', `[ -e ${socketOf(host)} ] && exit; sleep 0.05`];
  host.sh(`ip address add 10.22.0.1/16 dev wire
    ${server.join(' ')} ${apart}
    ${daemon.join(' ')} ${apart}
    for try in $(seq 100); do ${end}; done; exit 1`);
  if (!existsSync(socketOf(host))) throw new Error(`the DHCP daemon of ${host.side.name} made no socket`);
}
