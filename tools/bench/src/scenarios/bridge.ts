import { addressInContainer, bridgePort, linkInContainer, reservation, rules } from '../check.ts';
import { bridgeFloor, masqueradeFloor } from '../floor.ts';
import type { Host } from '../host.ts';
import { attachments } from '../scenario.ts';

const bridge = 'cni0';
const checks = [addressInContainer, linkInContainer, reservation, bridgePort(bridge)];
const types = ['bridge', 'host-local'];

const network = (more: Readonly<Record<string, unknown>>) => (host: Host) => ({
  name: 'net',
  plugins: [
    {
      type: 'bridge',
      bridge,
      isDefaultGateway: true,
      ...more,
      ipam: { type: 'host-local', subnet: '10.22.0.0/16', dataDir: host.dataDir },
    },
  ],
});

export const bridgeHostLocal = attachments({
  name: 'bridge',
  title: 'bridge + host-local',
  targets: { ADD: 0.6 },
  limits: { 'private memory': 8 },
  costs: true,
  floor: (host) => bridgeFloor(host, bridge),
  types,
  network: network({}),
  checks,
});

export const bridgeMasquerade = (['nftables', 'iptables'] as const).map((backend) =>
  attachments({
    name: `bridge-${backend}`,
    title: `bridge with ipMasq, ${backend}`,
    targets: { ADD: backend === 'nftables' ? 0.4 : 0.5 },
    types,
    costs: true,
    network: network({ ipMasq: true, ipMasqBackend: backend }),
    checks: [...checks, rules],
    floor: (host) => masqueradeFloor(host, bridge),
  }),
);
