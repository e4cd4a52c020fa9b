/** vrf beside the Go plugin, on a kernel that has VRFs: in user-mode Linux (`npm test` boots it). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

const who = { ours, theirs };
const cases: ['ours' | 'theirs', 'ours' | 'theirs'][] = [
  ['ours', 'theirs'],
  ['theirs', 'ours'],
];

describe.skipIf(!existsSync(join(theirs, 'vrf')) || !existsSync(join(ours, 'vrf')))(
  'beside the Go plugin',
  () => {
    test.for(cases)(
      'vrf of an attachment added by %s is checked and deleted by %s',
      async ([adder, other]) => {
        const name = `vrf-${adder}`;
        const netns = lab.container(name);
        const inside = (command: string) => lab.inside(netns, command).stdout;
        inside(`ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up
      ip address add 10.32.0.2/24 dev eth0; ip route add default via 10.32.0.1`);
        const prevResult = {
          cniVersion: '1.0.0',
          interfaces: [{ name: 'eth0', sandbox: netns }],
          ips: [{ address: '10.32.0.2/24', interface: 0 }],
        };
        const config = { cniVersion: '1.0.0', name, type: 'vrf', vrfname: 'blue', prevResult };
        const by = (side: 'ours' | 'theirs', command: string) =>
          lab.plugin(join(who[side], 'vrf'), config, { containerId: name, netns, path: who[side], command });
        const added = await by(adder, 'ADD');
        expect(added.status, added.stdout).toBe(0);
        // Before 1.2 the reference moved no routes.
        const moved = adder === 'ours' ? 'default via 10.32.0.1 dev eth0' : '10.32.0.0/24 dev eth0';
        expect(inside('ip route show vrf blue')).toContain(moved);
        for (const side of [other, adder]) {
          const checked = await by(side, 'CHECK');
          expect(checked.status, `${side}: ${checked.stdout}`).toBe(0);
        }
        const gone = await by(other, 'DEL');
        expect(gone.status, gone.stdout).toBe(0);
        expect(inside('ip link show eth0')).not.toContain('master');
        // One that the reference made carries no mark, so it may be somebody's: that stays with us.
        expect(inside('ip -br link').includes('blue')).toBe(adder === 'theirs');
        const again = await by('ours', 'DEL');
        expect(again.status, again.stdout).toBe(0);
      },
    );
  },
);
