import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Netns } from '@cni-ts/libc/netns';

const probes = {
  vlan: 'ip link add v0 type veth peer name v1 && ip link add link v0 name v0.7 type vlan id 7',
  ipvlan: 'ip link add v0 type veth peer name v1 && ip link add link v0 name i0 type ipvlan',
  'bridge vlan filtering': 'ip link add b0 type bridge vlan_filtering 1',
  dummy: 'ip link add d0 type dummy',
  vrf: 'ip link add r0 type vrf table 1',
  macvlan: 'ip link add v0 type veth peer name v1 && ip link add link v0 name m0 type macvlan',
  ifb: 'ip link add i0 type ifb',
  'nftables inet': 'nft add table inet t',
  'legacy iptables': 'iptables-legacy -t nat -S',
} as const;

const known = new Map<keyof typeof probes, boolean>();

/** Whether this kernel can do it: tried once in a scratch namespace. For `test.skipIf(!has('vlan'))`. */
export function has(feature: keyof typeof probes): boolean {
  const before = known.get(feature);
  if (before !== undefined) return before;
  const scratch = Netns.create();
  const answer = scratch.run(() => spawnSync('bash', ['-c', probes[feature]]).status === 0);
  scratch.close();
  known.set(feature, answer);
  return answer;
}

/** Where Debian puts the Go plugins; undefined if they are not installed. */
export function goPlugins(): string | undefined {
  return existsSync('/usr/lib/cni/bridge') ? '/usr/lib/cni' : undefined;
}
