/** sbr beside the Go plugin, in a chain with macvlan: who added does not check or delete. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
  lab.sh('ip link add m0 type veth peer name neighbour; ip link set m0 up; ip link set neighbour up');
});
afterAll(() => lab.close());

const who = { ours, theirs };
const cases: ['ours' | 'theirs', 'ours' | 'theirs'][] = [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
];

describe.skipIf(!existsSync(join(theirs, 'sbr')))('beside the Go plugin', () => {
  test.for(cases)('sbr of an attachment added by %s is checked and deleted by %s', async ([adder, other]) => {
    const name = `sbr-${adder}`;
    const netns = lab.container(name);
    const base = { cniVersion: '1.0.0', name };
    const ipam = { type: 'host-local', dataDir: lab.networks, ranges: [[{ subnet: '10.31.0.0/24' }]] };
    const call = { containerId: name, netns };
    const link = await lab.plugin(
      join(ours, 'macvlan'),
      { ...base, type: 'macvlan', master: 'm0', ipam },
      { ...call, path: ours, command: 'ADD' },
    );
    expect(link.status, link.stdout).toBe(0);
    const prevResult = link.json;
    const by = (side: 'ours' | 'theirs', command: string) =>
      lab.plugin(
        join(who[side], 'sbr'),
        { ...base, type: 'sbr', prevResult },
        { ...call, path: who[side], command },
      );
    const added = await by(adder, 'ADD');
    expect(added.status, added.stdout).toBe(0);
    const inside = (command: string) => lab.inside(netns, command).stdout;
    expect(inside('ip rule')).toMatch(/from 10\.31\.0\.\d+ lookup 100/);
    expect(inside('ip route show table 100')).toContain('default via 10.31.0.1 dev eth0');
    expect(inside('ip route show table main')).not.toContain('eth0');
    for (const side of [other, adder]) {
      const checked = await by(side, 'CHECK');
      expect(checked.status, `${side}: ${checked.stdout}`).toBe(0);
    }
    const gone = await by(other, 'DEL');
    expect(gone.status, gone.stdout).toBe(0);
    expect(inside('ip rule')).not.toContain('lookup 100');
    const again = await by(adder, 'DEL');
    expect(again.status, again.stdout).toBe(0);
  });
});
