/** `cnitool plan`: nothing is touched, and what it says is what ADD then does, compared by machine. */
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { type Snapshot, snapshot } from '@cni-ts/testing/snapshot';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab } from './lab.ts';
import { untold } from './told-changes.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.sh('ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up');
});
afterEach(() => lab.close());

const range = (net: number) => ({ type: 'host-local', ranges: [[{ subnet: `10.${net}.0.0/24` }]] });
const both = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd00:9::/64' }]] };
const routed = { routes: [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.9.0.1' }] };
const bridge = { type: 'bridge', bridge: 'cni0', isDefaultGateway: true, ipMasq: true, ipam: both };
const limits = { ingressRate: 8_000_000, ingressBurst: 400_000, egressRate: 8_000_000, egressBurst: 400_000 };
const tuning = {
  type: 'tuning',
  mac: '02:00:00:00:00:33',
  mtu: 1400,
  sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.ipv4.ip_default_ttl': '63' },
};
const portmap = { type: 'portmap', capabilities: { portMappings: true } };
const ports = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] };

/** Chains with every plugin of ours that this kernel serves; the others are in plan.uml.test.ts. */
const chains: Record<string, readonly object[]> = {
  'bridge, host-local, portmap, firewall by nftables': [
    { ...bridge, ipMasqBackend: 'nftables' },
    { ...portmap, backend: 'nftables' },
    { type: 'firewall', backend: 'nftables' },
  ],
  'bridge, host-local, portmap, firewall by iptables': [
    { ...bridge, ipMasqBackend: 'iptables' },
    { ...portmap, backend: 'iptables' },
    { type: 'firewall', backend: 'iptables' },
  ],
  'bridge, bandwidth, tuning, sbr': [bridge, { type: 'bandwidth', ...limits }, tuning, { type: 'sbr' }],
  'bridge without addresses': [{ type: 'bridge', bridge: 'cni1' }],
  'bridge with a policy between bridges': [bridge, { type: 'firewall', ingressPolicy: 'same-bridge' }],
  'ptp, portmap, tuning': [
    { type: 'ptp', ipMasq: true, mtu: 1400, ipam: { ...range(9), ...routed } },
    portmap,
    tuning,
  ],
  'macvlan, static': [
    {
      type: 'macvlan',
      master: 'up0',
      ipam: { type: 'static', addresses: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }], ...routed },
    },
  ],
  'host-device': [{ type: 'host-device', device: 'up1', ipam: range(9) }],
  tap: [{ type: 'tap', ipam: range(9) }, tuning],
  loopback: [{ type: 'loopback' }],
};

test.each(Object.keys(chains))('%s: nothing is touched, and ADD does what is told', async (title) => {
  const folder = lab.network('web', (chains[title] ?? []).map(inLab), '1.1.0', 'web');
  const path = lab.container('c1');
  const env = { NETCONFPATH: folder, CAP_ARGS: JSON.stringify(ports) };
  const flags = title === 'loopback' ? ['--ifname', 'lo'] : [];
  const look = () => ({ host: lab.left(), container: inside(path) });
  const before = look();
  const planned = await lab.cnitool(['plan', 'web', path, '--json', ...flags], env);
  expect(planned.status, planned.stdout + planned.stderr).toBe(0);
  expect(look()).toEqual(before);
  const added = await lab.cnitool(['add', 'web', path, ...flags], env);
  expect(added.status, added.stderr).toBe(0);
  const { plugins, result } = planned.json as unknown as Planned; // reason: its schema says so
  const told = plugins.flatMap(({ changes }) => changes.map(({ text }) => text));
  expect(untold(before, look(), told)).toEqual({ made: [], told: [] });
  expect(withoutMacs(result)).toEqual(withoutMacs(added.json));
});

interface Planned {
  readonly plugins: readonly { readonly changes: readonly { readonly text: string }[] }[];
  readonly result: object;
}

/** State goes where the lab looks. */
function inLab(plugin: object): object {
  const { ipam, type } = plugin as { ipam?: { type: string }; type: string }; // reason: of the table above
  const dataDir = { dataDir: join(lab.state, type) };
  return {
    ...plugin,
    ...(ipam && { ipam: { ...ipam, ...(ipam.type === 'host-local' && { dataDir: lab.networks }) } }),
    ...(['tuning', 'host-device', 'firewall'].includes(type) && dataDir),
  };
}

function inside(path: string): Snapshot {
  const netns = Netns.open(path);
  try {
    return snapshot(netns);
  } finally {
    netns.close();
  }
}

/** A link that is not there yet has no MAC, unless one is asked for. */
function withoutMacs(result: object | undefined): unknown {
  return JSON.parse(JSON.stringify(result ?? {}), (key, value) => (key === 'mac' ? undefined : value));
}
