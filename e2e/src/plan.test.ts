/** `cnitool plan`: nothing is touched, and what it says is what ADD then does, compared by machine. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab } from './lab.ts';
import { expectDoneAsTold } from './planned.ts';

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
  const ifname = title === 'loopback' ? 'lo' : 'eth0';
  await expectDoneAsTold(lab, chains[title] ?? [], { ifname, capabilities: ports });
});

test('--empty plans as on a node that has nothing yet, for no container in particular, and touches nothing', async () => {
  const plugins = [bridge, { ...portmap, backend: 'nftables' }, tuning].map((one) => ({ ...one }));
  const folder = lab.network('web', plugins, '1.1.0');
  lab.sh('ip link add cni0 type bridge; echo 1 > /proc/sys/net/ipv4/ip_forward');
  const before = lab.left();
  const env = { NETCONFPATH: folder, CAP_ARGS: JSON.stringify(ports) };
  const here = await lab.cnitool(['plan', 'web'], env);
  const empty = await lab.cnitool(['plan', 'web', '--empty'], env);
  expect(lab.left()).toEqual(before);
  expect(here.stdout).not.toContain('sysctl net.ipv4.ip_forward');
  expect(empty.stdout).toMatch(/^\+ reservation of 10\.9\.0\.2 in \S+\n/);
  expect(empty.stdout).toMatch(
    /\n\+ bridge cni0\n\+ link veth\S+ \(host\) ⇄ eth0, mtu 1500\n\+ port veth\S+ of cni0\n/,
  );
  expect(empty.stdout).toMatch(/\n~ sysctl net\.ipv4\.ip_forward 0 → 1\n/);
  expect(empty.stdout).toMatch(/\n\+ tcp \*:8080 → 10\.9\.0\.2:80 by nftables\n/);
  expect(empty.stdout).toMatch(/\n\d+ changes, nothing was touched\n$/);
});
