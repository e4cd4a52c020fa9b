/** What a node knows of its blocks: one file for each network, written by the agent alone, read by each ADD.
 *
 *  The agent writes it while it holds the lock of the network's folder of reservations, where it takes a block out of use
 *  (`draining`), so no ADD takes an address of a block that is being given back. */
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { readRegular } from '@cni-ts/libc/file';
import { isMissing } from '@cni-ts/libc/syscall-error';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { type Block, blockOf, isInside, single } from './block.ts';

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
  const text = textIf(path);
  return text === undefined ? undefined : parseBlocks(text, path);
}

function textIf(path: string): string | undefined {
  try {
    return readRegular(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
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

/** JSON with a line for each block: BlockList reads those that it needs, and people find theirs. */
export function formatBlocks({ node, boot, blocks }: BlocksFile): string {
  const head = JSON.stringify({ node, boot, blocks: [] }).slice(0, -tail.length);
  const lines = blocks.map(({ first, ...one }) => JSON.stringify({ first: formatIp(first), ...one }));
  return `${[head, lines.join(',\n'), tail].join('\n')}\n`;
}

/** How the first line ends when what follows is put on lines of their own, and what the last line is. */
const tail = ']}';

/** The same blocks, each read when it is asked for: a node may have many, and an ADD needs the one that it takes from. */
export class BlockList {
  readonly boot: string;
  readonly #path: string;
  readonly #text: string;
  /** Where the first block's line begins and the last one's ends; undefined where all were read at once. */
  readonly #span: { readonly from: number; readonly to: number } | undefined;
  #all: readonly HeldBlock[] | undefined;
  #last: HeldBlock | undefined;

  /** Throws a CniError (code 999) for a text that is damaged. A block that is, is found when it is read. */
  constructor(text: string, path: string) {
    this.#path = path;
    this.#text = text;
    const from = text.indexOf('\n') + 1;
    const to = text.length - tail.length - 2;
    if (text.startsWith(lineStart, from) && text.endsWith(`}\n${tail}\n`)) {
      this.#span = { from, to };
      this.boot = parseBlocks(`${text.slice(0, from)}${tail}`, path).boot;
    } else {
      // Without blocks, or as somebody else has written it.
      const file = parseBlocks(text, path);
      this.boot = file.boot;
      this.#all = file.blocks;
    }
  }

  /** Throws a CniError (code 999). */
  get all(): readonly HeldBlock[] {
    this.#all ??= parseBlocks(this.#text, this.#path).blocks;
    return this.#all;
  }

  /** The one that was claimed last. Throws a CniError (code 999). */
  get last(): HeldBlock | undefined {
    if (this.#span === undefined || this.#all !== undefined) return this.all.at(-1);
    this.#last ??= this.#lineAt(this.#text.lastIndexOf('\n', this.#span.to - 1) + 1);
    return this.#last;
  }

  /** Calls `accept` with blocks in which the address lies until it takes one. Most blocks of a network have one length, so
   *  that the text of the first address leads to it. Throws a CniError (code 999). */
  around(ip: Ip, accept: (block: HeldBlock) => boolean): HeldBlock | undefined {
    const one = single(ip);
    const { last } = this;
    if (last && isInside(last, one) && accept(last)) return last;
    if (last && this.#all === undefined) {
      const start = `\n${lineStart}${formatIp(blockOf(ip, last.length).first)}"`;
      const at = this.#text.indexOf(start);
      const found = at < 0 ? undefined : this.#lineAt(at + 1);
      if (found && isInside(found, one) && accept(found)) return found;
    }
    return this.all.find((block) => isInside(block, one) && accept(block));
  }

  #lineAt(from: number): HeldBlock {
    const end = this.#text.indexOf('\n', from);
    const line = this.#text.slice(from, this.#text.charAt(end - 1) === ',' ? end - 1 : end);
    const block = readBlock(jsonOf(line));
    if (block === undefined) throw damaged(this.#path, `a block is not as the agent writes it: ${line}`);
    return block;
  }
}

/** How a block's line begins. */
const lineStart = '{"first":"';

function jsonOf(line: string): Partial<Record<keyof HeldBlock, unknown>> | null {
  try {
    return JSON.parse(line);
  } catch {
    return null; // which is no block, either
  }
}

/** undefined where there is no file. Throws a CniError (code 999) for one that is damaged. */
export function readBlockList(path: string): BlockList | undefined {
  const text = textIf(path);
  return text === undefined ? undefined : new BlockList(text, path);
}
