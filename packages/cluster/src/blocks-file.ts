/** What a node knows of its blocks: one file for each network, written by the agent alone, read by each ADD.
 *
 *  The agent writes it while it holds the lock of the network's folder of reservations, where it takes a block out of use
 *  (`draining`), so no ADD takes an address of a block that is being given back. */
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { readRegular } from '@cni-ts/libc/file';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import type { Block } from './block.ts';

export const defaultStateFolder = '/var/lib/cni/cluster';

/** held: addresses may be taken. draining: none any more; it goes back when the last reservation is gone.
 *  lost: etcd has it no more as ours; its containers have addresses that somebody else may get. */
export type BlockState = 'held' | 'draining' | 'lost';

export interface HeldBlock extends Block {
  readonly state: BlockState;
  readonly space: string;
  /** etcd's create revision of the block's key: what is given back must still have it. */
  readonly revision: string;
  /** Chance that tells this claim from any other. */
  readonly claim: string;
  /** Of a fixed or sticky address (a block of one): whose it is. Nobody else gets it. */
  readonly owner?: string;
  /** The address stays its owner's when it is freed. */
  readonly sticky?: boolean;
}

export interface BlocksFile {
  /** The agent's node, as etcd names it. */
  readonly node: string;
  /** /proc/sys/kernel/random/boot_id of when the agent last saw the blocks in etcd. After a boot they count only once it has:
   *  the node may have been fenced as dead meanwhile. */
  readonly boot: string;
  readonly blocks: readonly HeldBlock[];
}

/** Where the file of a network is. */
export function blocksPath(folder: string, network: string): string {
  return `${folder}/${network}.json`;
}

/** undefined where there is none. Throws a CniError (code 999) for one that is damaged. */
export function readBlocks(path: string): BlocksFile | undefined {
  let text: string;
  try {
    text = readRegular(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return parseBlocks(text, path);
}

/** Reads what `formatBlocks` wrote. Throws a CniError (code 999). (Each ADD does: plain steps cost least.) */
export function parseBlocks(text: string, path: string): BlocksFile {
  let json: { node?: unknown; boot?: unknown; blocks?: unknown } | null;
  try {
    json = JSON.parse(text);
  } catch {
    throw damaged(path, 'it is no JSON');
  }
  const node = json?.node;
  const boot = json?.boot;
  const written = json?.blocks;
  if (typeof node !== 'string' || typeof boot !== 'string' || !Array.isArray(written)) {
    throw damaged(path, 'it needs "node", "boot" and "blocks"');
  }
  const blocks: HeldBlock[] = [];
  for (let i = 0; i < written.length; i++) {
    const block = readBlock(written[i]);
    if (block === undefined) throw damaged(path, `block ${i} is not as the agent writes it`);
    blocks.push(block);
  }
  return { node, boot, blocks };
}

function readBlock(one: Partial<Record<keyof HeldBlock, unknown>> | null): HeldBlock | undefined {
  const first = typeof one?.first === 'string' ? parseIp(one.first) : undefined;
  if (!one || first === undefined) return undefined;
  const { length, state, space, revision, claim, owner } = one;
  if (typeof length !== 'number' || !(length >= 0 && length <= first.bytes.length * 8)) return undefined;
  if (state !== 'held' && state !== 'draining' && state !== 'lost') return undefined;
  if (typeof space !== 'string' || typeof revision !== 'string' || typeof claim !== 'string')
    return undefined;
  const block: HeldBlock = { first, length, state, space, revision, claim };
  if (typeof owner !== 'string') return block;
  return { ...block, owner, ...(one.sticky === true && { sticky: true }) };
}

function damaged(path: string, what: string): CniError {
  return new CniError(
    ErrorCode.internal,
    `the list of this node's blocks ${path} is damaged: ${what}`,
    'restart cluster-agent: it writes the list anew from what etcd has; addresses in use stay in use',
  );
}

export function formatBlocks({ node, boot, blocks }: BlocksFile): string {
  // Addresses as texts: this file is looked at by people.
  return `${JSON.stringify({ node, boot, blocks: blocks.map((one) => ({ ...one, first: formatIp(one.first) })) }, undefined, 1)}\n`;
}
