/** The names of what lies in etcd, below a prefix. Spaces and nodes are written so that a name with a slash stays one part. */
import type { Ip } from '@cni-ts/address/ip';
import { addressKey, type Block, blockKey, lastOfBlock, parseBlockKey } from '@cni-ts/cluster/block';

export interface Named {
  readonly kind: 'block' | 'pin';
  readonly space: string;
  readonly block: Block;
}

/** Ends with a slash, whether it was written or not. */
export function asPrefix(text: string): string {
  return text.endsWith('/') ? text : `${text}/`;
}

export class Keys {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = asPrefix(prefix);
  }

  /** All of a kind, from this key up to the next. */
  all(kind: 'space' | 'node' | 'alive' | 'fence'): KeyRange {
    return below(`${this.prefix}${kind}/`);
  }

  space(space: string): KeyRange {
    return below(this.#space(space));
  }

  grid(space: string): string {
    return `${this.#space(space)}config`;
  }

  block(space: string, block: Block): string {
    return `${this.#space(space)}block/${blockKey(block)}`;
  }

  pin(space: string, address: Ip): string {
    return `${this.#space(space)}pin/${addressKey(address)}`;
  }

  /** Every key of a block that begins in this one; those that enclose it and begin where it does are among them. */
  blocksIn(space: string, block: Block): KeyRange {
    const last = addressKey(lastOfBlock(block));
    const blocks = `${this.#space(space)}block/`;
    return { key: `${blocks}${addressKey(block.first)}/000`, end: `${blocks}${last}/999` };
  }

  pinsIn(space: string, block: Block): KeyRange {
    const pins = `${this.#space(space)}pin/`;
    // What follows the last key: itself and one character more.
    return { key: `${pins}${addressKey(block.first)}`, end: `${pins}${addressKey(lastOfBlock(block))}\0` };
  }

  node(node: string): string {
    return `${this.prefix}node/${writeName(node)}`;
  }

  alive(node: string): string {
    return `${this.prefix}alive/${writeName(node)}`;
  }

  fence(node: string): string {
    return `${this.prefix}fence/${writeName(node)}`;
  }

  /** The node of a key that node, alive or fence wrote; undefined for any other key. */
  nodeOf(key: string): string | undefined {
    return readName(key.slice(key.lastIndexOf('/') + 1));
  }

  /** What block or pin wrote; undefined for any other key. */
  parse(key: string): Named | undefined {
    const start = `${this.prefix}space/`;
    const [space, kind, digits, length, ...more] = key.slice(start.length).split('/');
    if (!key.startsWith(start) || !space || !digits || more.length > 0) return undefined;
    if (kind === 'pin' && length !== undefined) return undefined;
    if (kind !== 'block' && kind !== 'pin') return undefined;
    const block = parseBlockKey(`${digits}/${kind === 'pin' ? '128' : length}`);
    const name = readName(space);
    return block && name !== undefined ? { kind, space: name, block } : undefined;
  }

  #space(space: string): string {
    return `${this.prefix}space/${writeName(space)}/`;
  }
}

function writeName(name: string): string {
  return encodeURIComponent(name.toWellFormed());
}

function readName(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // somebody else's key
  }
}

export interface KeyRange {
  readonly key: string;
  /** Not included. */
  readonly end: string;
}

/** What begins with a text that ends with a slash, which '0' follows. */
function below(prefix: string): KeyRange {
  return { key: prefix, end: `${prefix.slice(0, -1)}0` };
}
