import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasFirewalld, startBus, startFirewalld } from '@cni-ts/testing/system-bus';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const count = 48;
const config = (number: number, backend?: string, ingressPolicy?: string) => ({
  cniVersion: '1.0.0',
  name: 'net',
  type: 'firewall',
  backend,
  ingressPolicy,
  prevResult: {
    cniVersion: '1.0.0',
    interfaces: [{ name: `br${number % 3}` }],
    ips: [{ address: `10.0.0.${number}/24` }, { address: `2001:db8::${number}/64` }],
  },
});

async function all(
  command: string,
  call: (number: number) => { folder: string; config: object },
  many = count,
): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: many }, (_, i) => {
      const { folder, config } = call(i + 1);
      const netns = '/run/netns/none';
      return lab.plugin(join(folder, 'firewall'), config, { command, containerId: `c${i + 1}`, netns });
    }),
  );
  for (const { status, stdout, stderr } of answers) expect(status, stdout + stderr).toBe(0);
}

const byIptables = () =>
  ['iptables', 'ip6tables'].flatMap((tool) =>
    lab
      .sh(`${tool} -S`)
      .split('\n')
      .filter((line) => line.startsWith('-A'))
      .map((line) => `${tool} ${line}`),
  );
const byNftables = () => {
  const { nftables } = JSON.parse(lab.sh('nft -j list ruleset')) as { nftables: { rule?: object }[] }; // reason: nft's JSON
  return nftables.flatMap(({ rule }) => (rule ? [JSON.stringify({ ...rule, handle: 0 })] : []));
};

test.skipIf(!hasFirewalld())(
  'firewalld is found on the bus and told of many containers at once; a reload loses none, and DEL takes them out',
  async () => {
    const bus = await startBus(lab.dir);
    process.env.DBUS_SYSTEM_BUS_ADDRESS = bus.address;
    const firewalld = await startFirewalld(join(lab.dir, 'firewalld'));
    const sources = (more: string) =>
      lab.sh(`firewall-cmd ${more} --zone=trusted --list-sources`).trim().split(' ').filter(Boolean).sort();
    const call = (number: number) => ({
      folder: ours,
      config: { ...config(number), dataDir: join(lab.dir, 'told') },
    });
    const expected = Array.from({ length: 8 }, (_, i) => [`10.0.0.${i + 1}/32`, `2001:db8::${i + 1}/128`]);
    await all('ADD', call, 8);
    expect(sources('')).toEqual(expected.flat().sort());
    lab.sh('firewall-cmd --reload');
    await all('CHECK', call, 8);
    await all('DEL', call, 8);
    expect([sources(''), sources('--permanent'), readdirSync(join(lab.dir, 'told'))]).toEqual([[], [], []]);
    expect(lab.sh('iptables -S; nft list ruleset')).not.toMatch(/CNI-|cni_plugins/);
    await firewalld.stop();
    await bus.stop();
    delete process.env.DBUS_SYSTEM_BUS_ADDRESS;
  },
);

/** Shared are five jumps and ends, and six rules for each of three bridges; iptables has them per family, and a jump
 *  more for what is published. */
describe.each([
  { backend: 'iptables', list: byIptables, perAddress: 3, shared: 48 },
  { backend: 'nftables', list: byNftables, perAddress: 2, shared: 23 },
])('$backend', ({ backend, list, perAddress, shared }) => {
  test(`${count} ADDs at once on an empty host make each rule once, and as many DELs leave only what is shared`, async () => {
    const call = (number: number) => ({
      folder: ours,
      config: config(number, backend, number % 2 ? 'isolated' : 'same-bridge'),
    });
    await all('ADD', call);
    const rules = list();
    expect(new Set(rules).size).toBe(rules.length);
    const own = rules.filter((rule) => /10\.0\.0\.|2001:db8::/.test(rule));
    expect(own).toHaveLength(count * 2 * perAddress);
    expect(rules.length - own.length).toBe(shared);
    await all('CHECK', call);
    await all('DEL', call);
    expect(list()).toEqual(rules.filter((rule) => !own.includes(rule)));
  });
});

test.skipIf(!existsSync(join(theirs, 'firewall')))(
  'ADDs and DELs at once, half by the Go plugin, make each container’s rules and take them away',
  async () => {
    // The first one makes what all share: the Go plugin takes no precautions against a second that does the same.
    const first = { command: 'ADD', containerId: 'first', netns: '/run/netns/none' };
    await lab.plugin(join(ours, 'firewall'), config(100, 'iptables'), first);
    await all('ADD', (number) => ({
      folder: number % 2 ? theirs : ours,
      config: config(number, 'iptables'),
    }));
    const rules = byIptables();
    for (let number = 1; number <= count; number++) {
      expect(rules).toContain(`iptables -A CNI-FORWARD -s 10.0.0.${number}/32 -j ACCEPT`);
      expect(rules).toContain(`ip6tables -A CNI-FORWARD -s 2001:db8::${number}/128 -j ACCEPT`);
    }
    await all('DEL', (number) => ({
      folder: number % 2 ? ours : theirs,
      config: config(number, 'iptables'),
    }));
    expect(
      byIptables().filter((rule) => / CNI-FORWARD .*(10\.0\.0\.\d\d?\/|2001:db8::\d\d?\/)/.test(rule)),
    ).toEqual([]);
  },
);
