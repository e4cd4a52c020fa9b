/** host-device, tap and dummy beside the Go plugins. Debian 12 has of these host-device only: with CNI_GO_PLUGINS, a folder of
 *  newer ones, all are tried. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { has } from '@cni-ts/testing/needs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, ours, theirs } from './lab.ts';

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab.close());

const go = process.env.CNI_GO_PLUGINS ?? theirs;
const who = { ours, theirs: go };
type Side = keyof typeof who;

const mac = '02:00:00:00:00:10';
const settings = { 'host-device': { device: 'd0' }, tap: { mtu: 1400, multiQueue: true }, dummy: {} };
type Kind = keyof typeof settings;

function makeDevice(): void {
  lab.sh(`ip link del pd0 2>/dev/null || true
    ip link add d0 address ${mac} type veth peer name pd0; ip link set pd0 up; ip link set d0 up`);
}

const cannot = (kind: Kind) => !existsSync(join(go, kind)) || (kind === 'dummy' && !has('dummy'));

describe.each(Object.keys(settings) as Kind[])('%s beside the Go plugins', (kind) => {
  test.skipIf(cannot(kind)).for([
    ['ours', 'theirs'],
    ['theirs', 'ours'],
  ] as [Side, Side][])('an attachment added by %s is checked and deleted by %s', async ([adder, other]) => {
    if (kind === 'host-device') makeDevice();
    const name = `${kind}-${adder}`;
    const config = {
      cniVersion: '1.0.0',
      name,
      type: kind,
      ...settings[kind],
      dataDir: join(lab.state, 'devices'),
      ipam: {
        type: 'host-local',
        dataDir: lab.networks,
        ranges: [[{ subnet: '10.30.0.0/24' }], [{ subnet: 'fd00:30::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    };
    const netns = lab.container(name);
    const by = (side: Side, command: string, more: object = {}) =>
      lab.plugin(
        join(who[side], kind),
        { ...config, ...more },
        { containerId: name, netns, path: who[side], command },
      );
    const added = await by(adder, 'ADD');
    expect(added.status, added.stdout).toBe(0);
    const prevResult = added.json;
    for (const side of [other, adder]) {
      const checked = await by(side, 'CHECK', { prevResult });
      expect(checked.status, `${side}: ${checked.stdout}`).toBe(0);
    }
    const gone = await by(other, 'DEL', { prevResult });
    expect(gone.status, gone.stdout).toBe(0);
    expect(lab.inside(netns, 'ip -br link').stdout).not.toContain('eth0');
    expect(lab.reservations(name)).toEqual([]);
    // Of ours a second DEL has nothing to do, and clears what was kept for its own.
    const again = await by('ours', 'DEL', { prevResult });
    expect(again.status, again.stdout).toBe(0);
    // Releases of old leave the alias.
    if (kind === 'host-device') {
      const [device] = JSON.parse(lab.sh('ip -j link show d0'));
      expect(device).toMatchObject({ address: mac });
      expect(device).not.toHaveProperty('ifalias');
    }
  });
});

test.skipIf(cannot('host-device'))(
  'a device that the Go plugin left on the host under the name it had in a container goes home by ours',
  async () => {
    makeDevice();
    const netns = lab.container('crash');
    const config = { cniVersion: '1.0.0', name: 'crash', type: 'host-device', hwaddr: mac };
    const call = { containerId: 'crash', netns, path: go, ifname: 'net1' };
    expect((await lab.plugin(join(go, 'host-device'), config, { ...call, command: 'ADD' })).status).toBe(0);
    const home = lab.sh('sleep 20 >/dev/null 2>&1 </dev/null & echo $!').trim();
    lab.inside(netns, `ip link set net1 down; ip link set net1 netns ${home}; kill ${home}`);
    expect(lab.links()).toContain('net1');
    const own = { ...config, dataDir: join(lab.state, 'devices') };
    const next = { ...call, containerId: 'next', netns: lab.container('next'), path: ours };
    const added = await lab.plugin(join(ours, 'host-device'), own, { ...next, command: 'ADD' });
    expect(added.status, added.stdout).toBe(0);
    const gone = await lab.plugin(join(go, 'host-device'), config, { ...next, path: go, command: 'DEL' });
    expect(gone.status, gone.stdout).toBe(0);
    expect(lab.links()).toContain('d0');
  },
);
