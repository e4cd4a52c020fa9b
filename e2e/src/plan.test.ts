/** `cnitool plan`: nothing is touched, and what it says is what ADD then does, compared by machine. */
import { has } from '@cni-ts/testing/needs';
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

/** What is said of the first failure, without what the plan puts before it and what ADD's details add. */
const foretold = ({ stdout }: { stdout: string }) =>
  /^✗ CNI3045 \S+: ADD would fail: (.*)$/m.exec(stdout)?.[1];

/** A second attachment of the same name: each main plugin that this kernel serves. */
const again: Record<string, object> = {
  bridge: { ...bridge },
  'bridge with static addresses': {
    ...bridge,
    ipam: { type: 'static', addresses: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }] },
  },
  'bridge without addresses': { type: 'bridge', bridge: 'cni1' },
  ptp: {
    type: 'ptp',
    ipam: { type: 'static', addresses: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }] },
  },
  macvlan: {
    type: 'macvlan',
    master: 'up0',
    ipam: { type: 'static', addresses: [{ address: '10.9.0.7/24' }] },
  },
  tap: { type: 'tap', ipam: { type: 'static', addresses: [{ address: '10.9.0.7/24' }] } },
};

test.each(Object.keys(again))('%s: a second plan tells what a second ADD then says', async (title) => {
  const { ipam, ...plugin } = (again[title] ?? {}) as { ipam?: object }; // reason: a configuration
  const ours = ipam && { ipam: { ...ipam, dataDir: lab.networks } };
  const folder = lab.network('web', [{ ...plugin, ...ours }], '1.1.0');
  const path = lab.container('c1');
  const env = { NETCONFPATH: folder };
  expect((await lab.cnitool(['add', 'web', path], env)).status).toBe(0);
  const before = lab.left();
  await expectFailsAsTold(['web', path], env);
  expect(lab.left()).toEqual(before);
});

/** Plans and adds: the plan's sentence is that of ADD. */
async function expectFailsAsTold(words: readonly string[], env: Record<string, string>): Promise<string> {
  const told = await lab.cnitool(['plan', ...words], env);
  expect(told.status, told.stdout).toBe(1);
  const added = await lab.cnitool(['add', ...words], env);
  expect(added.status).not.toBe(0);
  const sentence = foretold(told);
  expect(sentence).toBeTruthy();
  expect(added.stderr).toContain(sentence);
  return sentence ?? '';
}

test('host-device: a plan for a name that the container has tells what ADD then says', async () => {
  const folder = lab.network('web', [{ type: 'host-device', device: 'up1', dataDir: lab.state }], '1.1.0');
  const path = lab.container('c1');
  lab.inside(path, 'ip link add eth0 type veth peer name other');
  const sentence = await expectFailsAsTold(['web', path], { NETCONFPATH: folder });
  expect(sentence).toContain('the container has a link of that name');
});

const small = { type: 'static', addresses: [{ address: '10.9.0.7/24' }] };
const obstacles: Record<string, { readonly plugin: object; readonly before: string }> = {
  'a link with the name of the bridge': {
    plugin: { type: 'bridge', bridge: 'cni0', ipam: small },
    before: 'ip link add cni0 type veth peer name cni9',
  },
  'a master that is a port of a bridge': {
    plugin: { type: 'macvlan', master: 'up0', ipam: small },
    before: 'ip link add br0 type bridge; ip link set up0 master br0',
  },
  'a device that is a port of a bridge': {
    plugin: { type: 'host-device', device: 'up1', ipam: small },
    before: 'ip link add br0 type bridge; ip link set up1 master br0',
  },
  'a bridge that a tap does not find': {
    plugin: { type: 'tap', bridge: 'br7', ipam: small },
    before: 'true',
  },
};

test.each(Object.keys(obstacles))('%s: the plan tells what ADD then says', async (title) => {
  const { plugin, before } = obstacles[title] ?? { plugin: {}, before: 'false' };
  lab.sh(before);
  const folder = lab.network('web', [{ ...plugin, dataDir: lab.state }], '1.1.0');
  await expectFailsAsTold(['web', lab.container('c1')], { NETCONFPATH: folder });
});

/** Kinds of links that a kernel may lack. */
const kinds = {
  dummy: { type: 'dummy', ipam: small },
  ipvlan: { type: 'ipvlan', master: 'up0', ipam: small },
  vlan: { type: 'vlan', master: 'up0', vlanId: 7, ipam: small },
} as const;

for (const kind of ['dummy', 'ipvlan', 'vlan'] as const) {
  test.skipIf(has(kind))(
    `${kind}: a plan tells that the kernel has no such links, in ADD's words`,
    async () => {
      const folder = lab.network('web', [kinds[kind]], '1.1.0');
      const sentence = await expectFailsAsTold(['web', lab.container('c1')], { NETCONFPATH: folder });
      expect(sentence).toMatch(new RegExp(`(the|this) kernel has no (links of kind )?${kind}`));
    },
  );
}

test.skipIf(has('vrf'))("vrf: a plan tells that the kernel has none, in ADD's words", async () => {
  const folder = lab.network(
    'web',
    [
      { ...bridge, ipam: { ...both, dataDir: lab.networks } },
      { type: 'vrf', vrfname: 'blue' },
    ],
    '1.1.0',
  );
  const sentence = await expectFailsAsTold(['web', lab.container('c1')], { NETCONFPATH: folder });
  expect(sentence).toContain('the kernel has no VRF');
});
