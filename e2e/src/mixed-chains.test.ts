/** Chains of our plugins and Debian's Go ones: each must take the other's result, and clean up after the other. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addressIn, Chain, expectLimited, expectReachable, type Member, reachesOutside } from './chain.ts';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.addWorld();
});
afterEach(() => lab.close());

const mains = ['bridge', 'ptp', 'host-local'];
const metas = ['tuning', 'portmap', 'firewall', 'bandwidth'];

/** A folder for CNI_PATH: main plugins and IPAM from one place, the others from another. */
function pluginsFrom(main: string, meta: string): string {
  const from = (names: string[], folder: string) => names.map((name) => [name, folder] as const);
  return lab.pluginsFrom('mixed', Object.fromEntries([...from(mains, main), ...from(metas, meta)]));
}

/** Release 1.1.1 looks for IPv6 rules of a container without such an address, and for a link that is called IFNAME.
 *  Newer ones check all of the chain. */
const theirsCannotCheck: readonly Member[] = ['portmap', 'tuning'];

/** All that names the attachment: rules, links, qdiscs. Chains that the network's containers share may stay, and so
 *  may the note of our firewall about whose an address is, which theirs does not know: all that it lets through is what
 *  somebody publishes of that address. */
function traces(...words: string[]): string[] {
  const lines = lab.sh('iptables-save; ip6tables-save; ip -o link; tc qdisc').split('\n');
  const naming = lines.filter((line) => words.some((word) => line.includes(word)));
  return naming.filter((line) => !line.startsWith('-A CNI-FORWARD-OWNERS '));
}

describe.skipIf(!existsSync(theirs))('a chain of both kinds of plugins', () => {
  test.each([
    ['our bridge under their others', ours, theirs, ['bridge', 'tuning', 'portmap', 'firewall', 'bandwidth']],
    ['our ptp under their others', ours, theirs, ['ptp', 'bandwidth', 'firewall', 'tuning', 'portmap']],
    ['their bridge under our others', theirs, ours, ['bridge', 'tuning', 'portmap', 'firewall', 'bandwidth']],
    ['their ptp under our others', theirs, ours, ['ptp', 'bandwidth', 'firewall', 'tuning', 'portmap']],
  ] as const)('%s works as configured and leaves nothing', async (_title, main, meta, order) => {
    const path = pluginsFrom(main, meta);
    const chain = new Chain(lab, 'mixed', 51, order, { backend: 'iptables', path });
    await chain.warmUp();
    const before = lab.left();
    const netns = lab.container('mixed');
    const hostPort = 8051;
    const address = addressIn(await chain.run('add', netns, { hostPort }));
    await chain.run('check', netns, { hostPort, without: meta === theirs ? theirsCannotCheck : [] });
    await expectReachable(lab, netns, hostPort);
    expect(reachesOutside(lab, netns)).toBe(true);
    if (order[0] === 'bridge') await expectLimited(lab, netns, address);
    await chain.run('del', netns, { hostPort });
    expect(lab.left()).toEqual(before);
  });

  test.each([
    ['behind a bridge, what ours added theirs check and delete', ours, theirs, 'bridge'],
    ['behind a bridge, what theirs added ours check and delete', theirs, ours, 'bridge'],
    ['behind ptp, what ours added theirs check and delete', ours, theirs, 'ptp'],
    ['behind ptp, what theirs added ours check and delete', theirs, ours, 'ptp'],
  ] as const)('%s', async (_title, adders, removers, main) => {
    const order = [main, 'tuning', 'portmap', 'firewall', 'bandwidth'] as const;
    const chain = new Chain(lab, 'cross', 52, order, { backend: 'iptables' });
    await chain.warmUp({ path: removers });
    const netns = lab.container('cross');
    const given = { hostPort: 8052 };
    const added = await chain.run('add', netns, { ...given, path: adders });
    const without = removers === theirs ? theirsCannotCheck : [];
    await chain.run('check', netns, { ...given, path: removers, without });
    await expectReachable(lab, netns, given.hostPort);
    await chain.run('del', netns, { ...given, path: removers });
    expect(traces(addressIn(added), String(given.hostPort), 'veth', 'bwp')).toEqual([]);
    expect(lab.reservations('cross')).toEqual([]);
    expect(existsSync(chain.cacheFile(netns))).toBe(false);
  });

  test('their bridge and host-local under our tuning: MAC and promiscuous mode are as configured', async () => {
    const path = lab.pluginsFrom('b', { bridge: theirs, 'host-local': theirs, tuning: ours });
    const { bridge } = new Chain(lab, 'tuned', 53, [], { backend: 'iptables' }).members();
    const mac = '02:00:00:00:00:53';
    const tuning = { type: 'tuning', mac, promisc: true, dataDir: join(lab.state, 'tuning') };
    const env = { CNI_PATH: path, NETCONFPATH: lab.network('tuned', [bridge, tuning]) };
    const netns = lab.container('tuned');
    const added = await lab.cnitool(['add', 'tuned', netns], env);
    expect(added.status, added.stderr).toBe(0);
    expect(JSON.stringify(added.json)).toContain(mac);
    expect(lab.inside(netns, 'ip link show eth0').stdout).toMatch(new RegExp(`PROMISC[\\s\\S]*${mac}`));
    expect((await lab.cnitool(['check', 'tuned', netns], env)).status).toBe(0);
    expect((await lab.cnitool(['del', 'tuned', netns], env)).status).toBe(0);
    expect(lab.reservations('tuned')).toEqual([]);
  });

  test('our ptp with our static addresses under their firewall: added, checked and deleted', async () => {
    const path = lab.pluginsFrom('c', { ptp: ours, static: ours, firewall: theirs });
    const ipam = {
      type: 'static',
      addresses: [{ address: '10.54.0.2/24', gateway: '10.54.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
    };
    const conf = lab.network('fixed', [{ type: 'ptp', ipMasq: true, ipam }, { type: 'firewall' }]);
    const env = { CNI_PATH: path, NETCONFPATH: conf };
    const netns = lab.container('fixed');
    for (const command of ['add', 'check', 'del']) {
      const { status, stderr } = await lab.cnitool([command, 'fixed', netns], env);
      expect(status, stderr).toBe(0);
      if (command !== 'del') expect(reachesOutside(lab, netns)).toBe(true);
    }
    expect(traces('10.54.0.2', 'fixed', 'veth')).toEqual([]);
  });
});
