/** `cnitool plan` of the plugins whose links a small kernel lacks: in user-mode Linux (`npm test` boots it). */
import { afterEach, beforeEach, test } from 'vitest';
import { Lab } from './lab.ts';
import { expectDoneAsTold } from './planned.ts';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
  lab.sh('ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up');
});
afterEach(() => lab.close());

const ipam = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }]] };
const routed = { ...ipam, routes: [{ dst: '0.0.0.0/0' }] };

const chains: Record<string, readonly object[]> = {
  'bridge with a VLAN': [{ type: 'bridge', bridge: 'cni0', vlan: 7, isGateway: true, ipam: routed }],
  ipvlan: [{ type: 'ipvlan', master: 'up0', mode: 'l2', ipam: routed }],
  vlan: [{ type: 'vlan', master: 'up0', vlanId: 7, ipam: routed }],
  dummy: [{ type: 'dummy', ipam }],
  'bridge, vrf': [
    { type: 'bridge', bridge: 'cni0', ipam: routed },
    { type: 'vrf', vrfname: 'blue' },
  ],
};

test.each(Object.keys(chains))('%s: nothing is touched, and ADD does what is told', async (title) => {
  await expectDoneAsTold(lab, chains[title] ?? []);
});
