/** `cnitool plan` where ADD would fail: it says what ADD then says, for every plugin that makes a link. */
import { has } from '@cni-ts/testing/needs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Answer, Lab } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.sh('ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up');
});
afterEach(() => lab.close());

const mains: Record<string, object> = {
  bridge: { bridge: 'cni0' },
  ptp: {},
  macvlan: { master: 'up0' },
  // Kinds that a small kernel lacks: then that is what both say.
  ipvlan: { master: 'up0' },
  vlan: { master: 'up0', vlanId: 7 },
  dummy: {},
  tap: {},
  'host-device': { device: 'up1' },
};
const ipams: Record<string, object> = {
  'host-local': { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }]] },
  static: { type: 'static', addresses: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }] },
  dhcp: { type: 'dhcp' },
};
const withIpam = Object.keys(mains).flatMap((main) =>
  Object.keys(ipams).map((ipam) => [main, ipam] as const),
);
const without = ['bridge', 'macvlan', 'tap', 'host-device'].map((main) => [main, 'none'] as const);

test.each([...withIpam, ...without])(
  '%s with %s, where the container has the name already: plan fails with the words of ADD',
  async (main, ipam) => {
    const path = lab.container('c1');
    lab.inside(path, 'ip link add eth0 type veth peer name other');
    const sentence = await expectSameRefusal([network(main, ipam)], path);
    // It makes no link, so these are no words of the kernel's.
    if (main === 'host-device') expect(sentence).toContain('the container has a link of that name');
  },
);

test.each([
  ...['bridge', 'ptp', 'macvlan', 'tap'].flatMap((main) =>
    ['static', 'host-local'].map((ipam) => [main, ipam] as const),
  ),
  ['bridge', 'none'] as const,
])('%s with %s, attached already: plan fails with the words of ADD', async (main, ipam) => {
  await expectSecondRefused(network(main, ipam));
});

test('a bridge that masquerades, with both families, attached already: plan fails with the words of ADD', async () => {
  const ranges = [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd00:9::/64' }]];
  const ipam = { type: 'host-local', ranges, dataDir: lab.networks };
  await expectSecondRefused({ ...network('bridge', 'none'), isDefaultGateway: true, ipMasq: true, ipam });
});

for (const kind of ['ipvlan', 'vlan', 'dummy'] as const) {
  test.skipIf(has(kind))(
    `${kind}, where the kernel has none: plan names the module as ADD does`,
    async () => {
      const sentence = await expectSameRefusal([network(kind, 'static')], lab.container('c1'));
      expect(sentence).toMatch(new RegExp(`(the|this) kernel has no (links of kind )?${kind}`));
    },
  );
}

test.skipIf(has('vrf'))(
  'a chained plugin whose kind of link the kernel lacks: plan fails with the words of ADD',
  async () => {
    // That one stays when it has been switched on.
    lab.sh('echo 1 > /proc/sys/net/ipv4/ip_forward');
    const plugins = [network('ptp', 'static'), { type: 'vrf', vrfname: 'blue' }];
    expect(await expectSameRefusal(plugins, lab.container('c1'))).toContain('the kernel has no VRF');
  },
);

/** The network, and what is in its way. */
const obstacles: Record<string, { readonly main: string; readonly more?: object; readonly before: string }> =
  {
    'a bridge whose name another link has': {
      main: 'bridge',
      before: 'ip link add cni0 type veth peer name cni9',
    },
    'a master that is a port': {
      main: 'macvlan',
      before: 'ip link add br9 type bridge; ip link set up0 master br9',
    },
    'a device that is a port': {
      main: 'host-device',
      before: 'ip link add br9 type bridge; ip link set up1 master br9',
    },
    'a bridge that a tap does not find': { main: 'tap', more: { bridge: 'br7' }, before: 'true' },
  };

test.each(Object.entries(obstacles))(
  '%s: plan fails with the words of ADD',
  async (_title, { main, more, before }) => {
    lab.sh(before);
    await expectSameRefusal([{ ...network(main, 'static'), ...more }], lab.container('c1'));
  },
);

function network(main: string, ipam: string): object {
  const own =
    ipam === 'none'
      ? {}
      : { ipam: { ...ipams[ipam], ...(ipam === 'host-local' && { dataDir: lab.networks }) } };
  return { type: main, ...mains[main], ...own, ...(main === 'host-device' && { dataDir: lab.state }) };
}

async function expectSecondRefused(plugin: object): Promise<void> {
  const path = lab.container('c1');
  const env = { NETCONFPATH: lab.network('web', [plugin], '1.1.0') };
  expect((await lab.cnitool(['add', 'web', path], env)).status).toBe(0);
  await expectRefusal(env, path);
}

async function expectSameRefusal(plugins: readonly object[], path: string): Promise<string> {
  return await expectRefusal({ NETCONFPATH: lab.network('web', plugins, '1.1.0') }, path);
}

/** Neither of them leaves anything. Returns what plan said; ADD may tell more, as what it took back. */
async function expectRefusal(env: Record<string, string>, path: string): Promise<string> {
  const before = lab.left();
  const planned = await lab.cnitool(['plan', 'web', path], env);
  expect(lab.left()).toEqual(before);
  expect(planned.status, planned.stdout + planned.stderr).toBe(1);
  const added = await lab.cnitool(['add', 'web', path], env);
  expect(added.status).toBe(1);
  expect(lab.left()).toEqual(before);
  const sentence = sentenceOfPlan(planned);
  expect(sentenceOfAdd(added)).toContain(sentence);
  return sentence;
}

function sentenceOfPlan({ stdout }: Answer): string {
  return /^✗ CNI3045 \S+: ADD would fail: (.*)$/m.exec(stdout)?.[1] ?? `no refusal in ${stdout}`;
}

const sentenceOfAdd = ({ stderr }: Answer) =>
  stderr.replace(/^Error: plugin type="[^"]*" failed \(add\): /, '');
