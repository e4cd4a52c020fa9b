import { addressInContainer, linkInContainer, reservation, setting } from '../check.ts';
import type { Host } from '../host.ts';
import { attachments } from '../scenario.ts';

export const ipam = (host: Host) => ({ type: 'host-local', subnet: '10.22.0.0/16', dataDir: host.dataDir });

export function uplink(host: Host): void {
  host.sh('ip link add uplink type veth peer name wire && ip link set wire up && ip link set uplink up');
}

/** The other plugins by themselves. */
export const single = [
  attachments({
    name: 'ptp',
    title: 'ptp + host-local',
    types: ['ptp', 'host-local'],
    network: (host) => ({ name: 'ptp', plugins: [{ type: 'ptp', ipam: ipam(host) }] }),
    checks: [addressInContainer, linkInContainer, reservation],
  }),
  attachments({
    name: 'macvlan',
    title: 'macvlan + host-local',
    types: ['macvlan', 'host-local'],
    prepare: uplink,
    network: (host) => ({
      name: 'macvlan',
      plugins: [{ type: 'macvlan', master: 'uplink', ipam: ipam(host) }],
    }),
    checks: [addressInContainer, linkInContainer, reservation],
  }),
  attachments({
    name: 'macvlan-sbr',
    title: 'macvlan + sbr',
    targets: { ADD: 0.4 },
    types: ['macvlan', 'host-local', 'sbr'],
    details: true,
    prepare: uplink,
    network: (host) => ({
      name: 'sbr',
      plugins: [{ type: 'macvlan', master: 'uplink', ipam: ipam(host) }, { type: 'sbr' }],
    }),
    checks: [addressInContainer, linkInContainer, reservation],
  }),
  attachments({
    name: 'host-device',
    title: 'host-device + host-local',
    targets: { ADD: 0.4 },
    types: ['host-device', 'host-local'],
    prepare(host) {
      host.sh('ip link add device type veth peer name wire && ip link set wire up && ip link set device up');
    },
    network: (host) => ({
      name: 'device',
      plugins: [
        { type: 'host-device', device: 'device', dataDir: `${host.dataDir}/devices`, ipam: ipam(host) },
      ],
    }),
    checks: [addressInContainer, linkInContainer, reservation],
  }),
  attachments({
    name: 'tap',
    title: 'tap + host-local',
    targets: { ADD: 0.4 },
    types: ['tap', 'host-local'],
    network: (host) => ({ name: 'tap', plugins: [{ type: 'tap', ipam: ipam(host) }] }),
    checks: [addressInContainer, linkInContainer, reservation],
  }),
  attachments({
    name: 'bridge-static',
    title: 'bridge + static',
    types: ['bridge', 'static'],
    network: () => ({
      name: 'static',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          ipam: { type: 'static', addresses: [{ address: '10.22.0.2/16' }] },
        },
      ],
    }),
    checks: [addressInContainer, linkInContainer],
  }),
  attachments({
    name: 'bridge-tuning',
    title: 'bridge + tuning',
    types: ['bridge', 'host-local', 'tuning'],
    details: true,
    network: (host) => ({
      name: 'tuned',
      plugins: [
        { type: 'bridge', bridge: 'cni0', ipam: ipam(host) },
        { type: 'tuning', mtu: 1400, sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' } },
      ],
    }),
    checks: [addressInContainer, linkInContainer, setting('net.ipv4.conf.eth0.arp_filter', '1')],
  }),
];
