/** Configurations that work, from which the others are made. */

export interface Network {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** It stands behind a plugin that made eth0: its configuration needs that one's result. */
  readonly chained?: boolean;
  /** CNI_IFNAME. */
  readonly ifname?: string;
}

const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }];
const hostLocal = (net: number) => ({
  type: 'host-local',
  ranges: [
    [{ subnet: `10.${net}.0.0/24`, rangeStart: `10.${net}.0.10`, rangeEnd: `10.${net}.0.250` }],
    [{ subnet: `fd00:${net}::/64` }],
  ],
  routes,
  dataDir: '/var/lib/cni/networks',
});
const ports = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 5353, containerPort: 53, protocol: 'udp', hostIP: '10.254.0.1' },
];
const rates = { ingressRate: 8000000, ingressBurst: 800000, egressRate: 8000000, egressBurst: 800000 };

/** `uplink` is a link that the host has. */
export const networks: readonly Network[] = [
  {
    type: 'bridge',
    config: {
      bridge: 'cni0',
      isGateway: true,
      isDefaultGateway: true,
      ipMasq: true,
      ipMasqBackend: 'nftables',
      hairpinMode: true,
      mtu: 1400,
      macspoofchk: true,
      ipam: hostLocal(10),
      dns: {
        nameservers: ['10.1.0.1'],
        domain: 'example.org',
        search: ['example.org'],
        options: ['ndots:2'],
      },
    },
  },
  {
    type: 'bridge',
    config: {
      bridge: 'cni1',
      isGateway: true,
      ipMasq: true,
      ipMasqBackend: 'iptables',
      portIsolation: true,
      ipam: { type: 'static', addresses: [{ address: '10.11.0.5/24', gateway: '10.11.0.1' }], routes },
      args: { cni: { ips: ['10.11.0.6/24'] } },
    },
  },
  {
    type: 'ptp',
    config: { ipMasq: true, mtu: 1400, ipam: hostLocal(12), dns: { nameservers: ['10.1.0.1'] } },
  },
  {
    type: 'macvlan',
    config: {
      master: 'uplink',
      mode: 'bridge',
      mtu: 1400,
      ipam: hostLocal(13),
      runtimeConfig: { mac: 'c2:11:22:33:44:55' },
    },
  },
  { type: 'loopback', config: {}, ifname: 'lo' },
  {
    type: 'host-local',
    config: {
      ipam: hostLocal(14),
      runtimeConfig: { ips: ['10.14.0.20'] },
      args: { cni: { ips: ['10.14.0.20'] } },
    },
  },
  {
    type: 'static',
    config: {
      ipam: {
        type: 'static',
        addresses: [{ address: '10.15.0.5/24', gateway: '10.15.0.1' }, { address: 'fd00:15::5/64' }],
        routes,
        dns: { nameservers: ['10.1.0.1'] },
      },
    },
  },
  {
    type: 'portmap',
    chained: true,
    config: { backend: 'nftables', snat: true, runtimeConfig: { portMappings: ports } },
  },
  {
    type: 'portmap',
    chained: true,
    config: {
      backend: 'iptables',
      markMasqBit: 13,
      conditionsV4: ['!', '-d', '192.0.2.0/24'],
      runtimeConfig: { portMappings: ports },
    },
  },
  { type: 'firewall', chained: true, config: { backend: 'iptables', ingressPolicy: 'same-bridge' } },
  { type: 'firewall', chained: true, config: { backend: 'nftables', dataDir: '/var/lib/cni/firewall' } },
  { type: 'bandwidth', chained: true, config: { ...rates } },
  { type: 'bandwidth', chained: true, config: { runtimeConfig: { bandwidth: rates } } },
  {
    type: 'tuning',
    chained: true,
    config: {
      mac: 'c2:11:22:33:44:66',
      mtu: 1400,
      promisc: true,
      allmulti: true,
      txQLen: 500,
      sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' },
      dataDir: '/run/cni/tuning',
    },
  },
];

/** The members of the chain of which many attachments are made at once; `index` tells them apart. */
export function chain(index: number): Network[] {
  return [
    {
      type: 'bridge',
      config: {
        bridge: 'crowd0',
        isDefaultGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.77.0.0/22' }]],
        },
      },
    },
    {
      type: 'portmap',
      config: {
        runtimeConfig: { portMappings: [{ hostPort: 20000 + index, containerPort: 80, protocol: 'tcp' }] },
      },
    },
    { type: 'firewall', config: {} },
    { type: 'bandwidth', config: rates },
    { type: 'tuning', config: { mtu: 1400, sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } } },
  ];
}
