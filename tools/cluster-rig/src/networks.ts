/** The networks of a run: what their configuration says, and what law follows from it. */
import type { NetworkLaw } from './history.ts';

export interface RigNetwork {
  readonly name: string;
  readonly ipam: Readonly<Record<string, unknown>>;
  readonly law: NetworkLaw;
}

/** Few addresses, small blocks, a short rest: blocks and addresses go from node to node all the time. */
export function tight(nodes: number, cooldown: number): RigNetwork {
  const [length, last] = nodes > 20 ? [21, '10.64.7.254'] : [24, '10.64.0.254'];
  const exclude = ['10.64.0.0/30', '10.64.0.96/28', '10.64.0.129/32'];
  return {
    name: 'tight',
    ipam: { type: 'cluster-pool', range: `10.64.0.0/${length}`, exclude, node_slice_size: '/28', cooldown },
    law: { space: 'default', ranges: [{ start: '10.64.0.1', end: last }], exclude },
  };
}

/** A part of the same addresses under another name: pools of one space may overlap. */
export function overlapping(nodes: number, cooldown: number): RigNetwork {
  const [start, end, length] =
    nodes > 20 ? ['10.64.4.0', '10.64.7.250', 21] : ['10.64.0.128', '10.64.0.250', 24];
  return {
    name: 'overlap',
    ipam: { type: 'cluster-pool', range: `${start}-${end}/${length}`, node_slice_size: '/29', cooldown },
    law: { space: 'default', ranges: [{ start, end }], exclude: [] },
  };
}

/** Both families, in a space of its own. */
export function dual(cooldown: number): RigNetwork {
  return {
    name: 'dual',
    ipam: {
      ...{ type: 'cluster-pool', network_name: 'second', cooldown },
      ipRanges: [{ range: '10.64.0.0/20' }, { range: 'fd00:64::/64' }],
    },
    law: {
      space: 'second',
      ranges: [
        { start: '10.64.0.1', end: '10.64.15.254' },
        { start: 'fd00:64::1', end: 'fd00:64::ffff:ffff:ffff:ffff' },
      ],
      exclude: [],
    },
  };
}

/** Room for a hundred thousand. */
export function wide(
  name = 'wide',
  more: { readonly space?: string; readonly cooldown?: number } = {},
): RigNetwork {
  const { space = name, ...rest } = more;
  return {
    name,
    ipam: {
      ...{ type: 'cluster-pool', network_name: space, range: '10.128.0.0/14', node_slice_size: '/26' },
      ...rest,
    },
    law: { space, ranges: [{ start: '10.128.0.1', end: '10.131.255.254' }], exclude: [] },
  };
}

/** host-local's, for comparison. */
export function local(name = 'local'): RigNetwork {
  return {
    name,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.128.0.0/14' }]] },
    law: { space: name, ranges: [{ start: '10.128.0.1', end: '10.131.255.254' }], exclude: [] },
  };
}

/** What a plugin gets; `live` for GC. */
export function configOf({ name, ipam }: RigNetwork, live?: readonly string[]): string {
  const valid = live && {
    'cni.dev/valid-attachments': live.map((id) => ({ containerID: id, ifname: 'eth0' })),
  };
  return JSON.stringify({ cniVersion: '1.1.0', name, type: 'macvlan', ipam, ...valid });
}
