/** vlan and ipvlan beside the Go plugins, on a kernel that has such links: in user-mode Linux (`npm test` boots it). */
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

const settings = { vlan: { vlanId: 5, mtu: 1400 }, ipvlan: { mode: 'l2' } };
const who = { ours, theirs };
type Kind = keyof typeof settings;
type Side = keyof typeof who;

const cases: [Kind, Side, Side][] = [
  ['vlan', 'ours', 'theirs'],
  ['vlan', 'theirs', 'ours'],
  ['ipvlan', 'ours', 'theirs'],
  ['ipvlan', 'theirs', 'ours'],
];

describe.skipIf(!existsSync(join(theirs, 'vlan')) || !existsSync(join(ours, 'vlan')))(
  'beside the Go plugins',
  () => {
    test.for(cases)(
      '%s: an attachment added by %s is checked and deleted by %s',
      async ([kind, adder, other]) => {
        const name = `${kind}-${adder}`;
        const config = {
          cniVersion: '1.0.0',
          name,
          type: kind,
          master: 'm0',
          ...settings[kind],
          ipam: {
            type: 'host-local',
            dataDir: lab.networks,
            ranges: [[{ subnet: '10.30.0.0/24' }], [{ subnet: 'fd00:30::/64' }]],
            routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          },
        };
        const netns = lab.container(name);
        const call = { containerId: name, netns };
        const by = (side: Side, command: string, more: object = {}) =>
          lab.plugin(join(who[side], kind), { ...config, ...more }, { ...call, path: who[side], command });
        const added = await by(adder, 'ADD');
        expect(added.status, added.stdout).toBe(0);
        const prevResult = added.json;
        for (const side of [other, adder]) {
          const checked = await by(side, 'CHECK', { prevResult });
          expect(checked.status, `${side}: ${checked.stdout}`).toBe(0);
        }
        expect(lab.inside(netns, 'ip -d link show eth0').stdout).toContain(kind);
        const gone = await by(other, 'DEL', { prevResult });
        expect(gone.status, gone.stdout).toBe(0);
        expect(lab.inside(netns, 'ip -br link').stdout).not.toContain('eth0');
        expect(lab.reservations(name)).toEqual([]);
        const again = await by(adder, 'DEL', { prevResult });
        expect(again.status, again.stdout).toBe(0);
      },
    );
  },
);
