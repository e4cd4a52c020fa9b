/** `cnitool ipam spaces`: what all nodes hold of the cluster's addresses, by the word of this node's agent. */
import { parseCidr } from '@cni-ts/address/cidr';
import { compareIp } from '@cni-ts/address/ip';
import type { AgentStatus, SpacesAnswer } from '@cni-ts/cluster/agent-talk';
import type { FindingCode } from '@cni-ts/spec/finding-codes';
import type { NetworkView } from '../ipam/survey.ts';
import { addressesIn, roomIn } from './pool-store.ts';

/** What the agent says of the cluster and of itself. */
export interface Told {
  readonly spaces: SpacesAnswer['spaces'];
  readonly nodes: SpacesAnswer['nodes'];
  readonly status: AgentStatus;
}

type NodeTold = SpacesAnswer['nodes'][number];

export interface BlockRow {
  readonly block: string;
  readonly node: string;
  readonly network: string;
  readonly since: string;
  /** Of a fixed or sticky address. */
  readonly owner?: string;
  /** Of this node: how many of its addresses are reserved, of how many that can be given where that is known. */
  readonly used?: number;
  readonly usable?: number;
  /** Why nobody may be there to give it back. */
  readonly stale?: string;
}

export interface SpaceRow {
  readonly space: string;
  readonly blocks: readonly BlockRow[];
}

/** Blocks before pins, each by address; `networks` are this node's. */
export function spaceRows({ spaces, nodes, status }: Told, networks: readonly NetworkView[]): SpaceRow[] {
  const byName = new Map(nodes.map((one) => [one.node, one]));
  return spaces
    .toSorted((a, b) => (a.space < b.space ? -1 : 1))
    .map(({ space, blocks }) => ({
      space,
      blocks: blocks
        .map((one): BlockRow => {
          const { block, node, network, since, owner } = one;
          const stale = staleOf(node, byName.get(node));
          const use = node === status.node ? useOf(space, network, block, networks) : {};
          return {
            ...{ block, node, network, since },
            ...(owner !== undefined && { owner }),
            ...use,
            ...(stale !== undefined && { stale }),
          };
        })
        .toSorted((a, b) => Number(a.owner !== undefined) - Number(b.owner !== undefined) || byAddress(a, b)),
    }));
}

function byAddress(a: BlockRow, b: BlockRow): number {
  const [first, second] = [parseCidr(a.block), parseCidr(b.block)];
  return first && second ? compareIp(first.ip, second.ip) : 0;
}

/** A pin that is kept for its owner and held by nobody has no node. */
function staleOf(name: string, node: NodeTold | undefined): string | undefined {
  if (name === '') return undefined;
  if (!node) return `etcd knows no node ${name}`;
  return node.alive ? undefined : `node ${name} is away`;
}

function useOf(
  space: string,
  network: string,
  block: string,
  networks: readonly NetworkView[],
): Pick<BlockRow, 'used' | 'usable'> {
  const cidr = parseCidr(block);
  if (!cidr) return {};
  const at = { first: cidr.ip, length: cidr.prefix };
  for (const view of networks) {
    if (view.network.name !== network) continue;
    for (const { store, holders } of view.stores) {
      if (store.pool?.space !== space) continue;
      const addresses = holders.map(({ address }) => address);
      return { used: addressesIn(at, addresses).length, usable: roomIn(at, store.pool.ranges) };
    }
  }
  return {};
}

export function spacesText(told: Told, rows: readonly SpaceRow[]): string {
  const { nodes, status } = told;
  const lines: string[] = [];
  if (!status.etcd.reachable)
    lines.push(`✗ etcd is not reached since ${status.etcd.since}: ${status.etcd.error ?? 'no reason'}`);
  lines.push(...status.trouble.map((one) => `✗ ${one}`));
  for (const { space, blocks } of rows) {
    lines.push(`space ${space}`);
    if (blocks.length === 0) lines.push('  nobody holds a block');
    lines.push(...table(blocks.map(blockCells)));
  }
  if (rows.length === 0) lines.push('nobody holds a block of any space');
  const held = (name: string) =>
    rows.flatMap(({ blocks }) => blocks).filter(({ node }) => node === name).length;
  lines.push('nodes', ...table(nodes.map((one) => nodeCells(one, held(one.node), status.node))));
  const others = rows.some(({ blocks }) =>
    blocks.some(({ node, used }) => used === undefined && node !== ''),
  );
  if (others)
    lines.push(`? how many addresses other nodes use is known there: reservations are on each node's disk`);
  const stale = [
    ...new Set(
      rows.flatMap(({ blocks }) =>
        blocks.flatMap(({ node, stale: why }) => (why === undefined ? [] : [node])),
      ),
    ),
  ];
  lines.push(...stale.map(fenceCure));
  return lines.map((line) => `${line}\n`).join('');
}

const away: FindingCode = 'CNI2047';

function fenceCure(node: string): string {
  return `${away} ${node} is away and holds blocks; cure: nothing, if it comes back; if it is off for good: cnitool ipam fence ${node} --off`;
}

function blockCells({ block, owner, node, network, since, used, usable, stale }: BlockRow): string[] {
  const use = used === undefined ? '' : usable === undefined ? `${used} used` : `${used} of ${usable} used`;
  return [
    stale === undefined ? ' ' : '✗',
    owner === undefined ? block : `pin ${block}`,
    node === '' ? '(no node)' : node,
    network,
    since,
    [
      ...(owner === undefined ? [] : [`of ${owner}`]),
      ...(use === '' ? [] : [use]),
      ...(stale === undefined ? [] : [stale]),
    ].join(', '),
  ];
}

function nodeCells({ node, alive, fencing, version, since }: NodeTold, held: number, here: string): string[] {
  return [
    alive ? ' ' : '✗',
    node === here ? `${node} (here)` : node,
    alive ? 'alive' : 'away',
    `${held} held`,
    version,
    `since ${since}${fencing ? ', is being fenced' : ''}`,
  ];
}

/** Columns of one width; the last has what it needs. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** As the schema cnitool-ipam-spaces.json says. */
export function spacesJson({ nodes, status }: Told, rows: readonly SpaceRow[]): object {
  return {
    node: status.node,
    version: status.version,
    etcd: status.etcd,
    trouble: status.trouble,
    spaces: rows,
    nodes: nodes.map(({ node, alive, since, version, fencing }) => ({
      node,
      alive,
      since,
      version,
      fencing,
    })),
  };
}
