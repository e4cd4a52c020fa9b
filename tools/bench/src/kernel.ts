/** Which kinds of links this kernel has: one is made in a network namespace of its own. */
import { spawnSync } from 'node:child_process';

/** How a link of each kind is made. */
const probes = {
  vlan: 'link wire name probe type vlan id 5',
  ipvlan: 'link wire name probe type ipvlan',
  macvlan: 'link wire name probe type macvlan',
  dummy: 'probe type dummy',
  vrf: 'probe type vrf table 5',
} as const;

export type Kind = keyof typeof probes;

const known = new Map<Kind, boolean>();

export function kernelHas(kind: Kind): boolean {
  const before = known.get(kind);
  if (before !== undefined) return before;
  const words = `ip link add wire type veth peer name other && ip link add ${probes[kind]}`;
  const has = spawnSync('unshare', ['--net', 'sh', '-c', words], { stdio: 'ignore' }).status === 0;
  known.set(kind, has);
  return has;
}
