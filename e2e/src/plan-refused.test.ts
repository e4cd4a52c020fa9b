/** `cnitool plan` where ADD would fail: it says what ADD then says, for every plugin that makes a link. */
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
    await expectSameRefusal([network(main, ipam)], path);
  },
);

test.each(
  ['bridge', 'ptp', 'macvlan', 'tap'].flatMap(
    (main) =>
      [
        [main, 'static'],
        [main, 'host-local'],
      ] as const,
  ),
)('%s with %s, attached already: plan fails with the words of ADD', async (main, ipam) => {
  const path = lab.container('c1');
  const env = { NETCONFPATH: lab.network('web', [network(main, ipam)], '1.1.0') };
  expect((await lab.cnitool(['add', 'web', path], env)).status).toBe(0);
  await expectRefusal(env, path);
});

test.each(['ipvlan', 'vlan', 'dummy'])(
  '%s, where the kernel has none: plan names the module as ADD does',
  async (main) => {
    const knows = lab.inside(
      '/proc/self/ns/net',
      `ip link add t0 type ${main === 'dummy' ? main : `${main} link up0 ${main === 'vlan' ? 'id 7' : ''}`}`,
    );
    if (knows.status === 0) return void lab.sh('ip link del t0');
    await expectSameRefusal([network(main, 'static')], lab.container('c1'));
  },
);

test('a chained plugin whose kind of link the kernel lacks: plan fails with the words of ADD', async () => {
  if (lab.inside('/proc/self/ns/net', 'ip link add t0 type vrf table 7').status === 0) return;
  await expectSameRefusal([network('ptp', 'static'), { type: 'vrf', vrfname: 'blue' }], lab.container('c1'));
});

test('a bridge whose name another link has: plan fails with the words of ADD', async () => {
  await expectSameRefusal([{ ...network('bridge', 'static'), bridge: 'up0' }], lab.container('c1'));
});

test('a master that is a port: plan fails with the words of ADD', async () => {
  lab.sh('ip link add br9 type bridge; ip link set up0 master br9');
  await expectSameRefusal([network('macvlan', 'static')], lab.container('c1'));
});

function network(main: string, ipam: string): object {
  const own =
    ipam === 'none'
      ? {}
      : { ipam: { ...ipams[ipam], ...(ipam === 'host-local' && { dataDir: lab.networks }) } };
  return { type: main, ...mains[main], ...own, ...(main === 'host-device' && { dataDir: lab.state }) };
}

async function expectSameRefusal(plugins: readonly object[], path: string): Promise<void> {
  await expectRefusal({ NETCONFPATH: lab.network('web', plugins, '1.1.0') }, path);
}

/** Besides, plan may tell what would be in the way next, and ADD what it took back. */
async function expectRefusal(env: Record<string, string>, path: string): Promise<void> {
  const before = lab.left();
  const planned = await lab.cnitool(['plan', 'web', path], env);
  expect(lab.left()).toEqual(before);
  expect(planned.status, planned.stdout + planned.stderr).toBe(1);
  const added = await lab.cnitool(['add', 'web', path], env);
  expect(added.status).toBe(1);
  expect(sentenceOfAdd(added)).toContain(sentenceOfPlan(planned));
}

function sentenceOfPlan({ stdout }: Answer): string {
  const said = /^✗ CNI3045 \S+: ADD would fail: (.*)$/m.exec(stdout)?.[1] ?? `no refusal in ${stdout}`;
  return said.split(/;? besides, /)[0] ?? '';
}

const sentenceOfAdd = ({ stderr }: Answer) =>
  stderr.replace(/^Error: plugin type="[^"]*" failed \(add\): /, '');
