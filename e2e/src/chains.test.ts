/** Whole chains of our plugins, as an operator adds, checks and deletes them, with traffic. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  addressIn,
  backends,
  Chain,
  closeForwarding,
  expectLimited,
  expectReachable,
  orders,
  reachesOutside,
} from './chain.ts';
import { Lab } from './lab.ts';

const cniVersion = '1.1.0';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

describe.each(orders)('by %s: %s', (backend, order, measured) => {
  test('works as configured, passes CHECK, and DEL leaves nothing', async () => {
    const chain = new Chain(lab, 'whole', 61, order, { backend, cniVersion, dualStack: true });
    await chain.warmUp();
    const before = lab.left();

    const netns = lab.container('c1');
    const hostPort = 8061;
    const address = addressIn(await chain.run('add', netns, { hostPort }));
    await chain.run('check', netns, { hostPort });
    await expectReachable(lab, netns, hostPort);
    expect(lab.greeting(lab.world, lab.uplinkAddress6, hostPort), 'from outside by IPv6').not.toBe('');
    for (const one of [lab.outsideAddress, lab.outsideAddress6])
      expect(reachesOutside(lab, netns, one), one).toBe(true);
    if (measured) await expectLimited(lab, netns, address);

    await chain.run('del', netns, { hostPort });
    await chain.run('del', netns, { hostPort });
    expect(lab.left()).toEqual(before);
    expect(lab.greeting(lab.world, lab.uplinkAddress, hostPort)).toBe('');
  });
});

test.each(backends)(
  'by %s: where the host drops what it forwards, containers have a network with firewall and none without',
  async (backend) => {
    const open = closeForwarding(lab, backend);
    for (const [name, net, order, reaches] of [
      ['without', 63, ['bridge', 'portmap'], false],
      ['with', 64, ['bridge', 'portmap', 'firewall'], true],
      ['before', 65, ['ptp', 'firewall', 'portmap'], true],
    ] as const) {
      const chain = new Chain(lab, name, net, order, { backend, cniVersion });
      const netns = lab.container(name);
      await chain.run('add', netns, { hostPort: 8063 });
      expect(reachesOutside(lab, netns), name).toBe(reaches);
      // The host itself does not forward what it sends.
      await lab.serve(netns, 80, name);
      expect(lab.greeting('', lab.uplinkAddress, 8063)).toBe(name);
      expect(lab.greeting(lab.world, lab.uplinkAddress, 8063)).toBe(reaches ? name : '');
      await chain.run('del', netns, { hostPort: 8063 });
    }
    open();
  },
);

test.each(backends)(
  'by %s: macvlan on the uplink with a static address, firewall and tuning',
  async (backend) => {
    const { tuning, firewall } = new Chain(lab, 'mv', 66, [], { backend }).members();
    const macvlan = {
      type: 'macvlan',
      master: 'uplink',
      ipam: { type: 'static', addresses: [{ address: '192.0.2.77/24' }] },
    };
    const mac = '02:00:00:00:00:77';
    const env = { NETCONFPATH: lab.network('mv', [macvlan, firewall, { ...tuning, mac }], cniVersion) };
    const run = async (command: string, netns: string) => {
      const answer = await lab.cnitool([command, 'mv', netns], env);
      expect(answer.status, answer.stderr).toBe(0);
    };
    const first = lab.container('first');
    await run('add', first);
    await run('del', first);
    const before = lab.left();
    const netns = lab.container('second');
    await run('add', netns);
    await run('check', netns);
    expect(lab.inside(netns, 'ip link show eth0').stdout).toMatch(/ mtu 1400 [\s\S]*02:00:00:00:00:77/);
    expect(reachesOutside(lab, netns)).toBe(true);
    await run('del', netns);
    expect(lab.left()).toEqual(before);
  },
);

test.each(backends)('by %s: a chain in-process and as processes is the same', async (backend) => {
  const order = ['bridge', 'tuning', 'portmap', 'firewall', 'bandwidth'] as const;
  const chain = new Chain(lab, 'same', 67, order, { backend, cniVersion });
  await chain.warmUp();
  const netns = lab.container('same');
  const seen = [];
  for (const flags of [[], ['--exec']]) {
    const { json } = await chain.run('add', netns, { hostPort: 8067, flags });
    const { files, ...state } = lab.left();
    await chain.run('check', netns, { hostPort: 8067, flags });
    await chain.run('del', netns, { hostPort: 8067, flags });
    // What the second differs in by nature: MACs, the next free address, numbers of traffic control's actions.
    const text = JSON.stringify({ json, state, files: Object.keys(files as object) }) // reason: by name
      .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '<mac>')
      .replaceAll(/10\.67\.0\.[2-9]/g, '<address>')
      .replaceAll(/index \d+ ref/g, 'index <n> ref');
    seen.push({ made: JSON.parse(text), left: lab.left() });
  }
  expect(seen[1]).toEqual(seen[0]);
});
