/** What the agent keeps on the disk: the blocks of each network, which plugins read, and in the folder `agent` what is its own.
 *  Every file is written whole, and is on the disk before anything follows from it. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { EtcdSettings } from '@cni-ts/cluster/agent-talk';
import { type BlocksFile, blocksPath, formatBlocks, readBlocks } from '@cni-ts/cluster/blocks-file';
import { CniError } from '@cni-ts/spec/cni-error';
import * as z from 'zod/mini';

/** What makes this node the one that it is, and where each etcd was when it was seen last. */
const nodeSchema = z.object({
  uid: z.string().check(z.minLength(1)),
  /** Of nodes of this name that are gone, by a person's word. */
  former: z._default(z.array(z.string()), []),
  clusters: z._default(z.record(z.string(), z.object({ id: z.string(), revision: z.string() })), {}),
});
export type NodeFile = z.output<typeof nodeSchema>;

const networkSchema = z.object({
  space: z.string(),
  folder: z.string(),
  cooldown: z.number(),
  prefix: z.optional(z.string()),
  etcd: z.optional(z.record(z.string(), z.unknown())),
});
/** What a question said of a network: after a restart nobody may ask, and blocks are given back all the same. */
export interface NetworkFacts {
  readonly space: string;
  readonly folder: string;
  readonly cooldown: number;
  readonly prefix?: string | undefined;
  readonly etcd?: EtcdSettings | undefined;
}

export class StateFolder {
  readonly path: string;
  #node: NodeFile;

  /** The node's file is made at the first start. Throws for one that is damaged: a new uid would be another node. */
  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: 0o755 });
    mkdirSync(this.#own(''), { recursive: true, mode: 0o700 });
    this.#node = this.#readNode();
  }

  get node(): NodeFile {
    return this.#node;
  }

  #readNode(): NodeFile {
    const path = this.#own('node.json');
    const text = readIf(path);
    if (text === undefined) {
      const made = { uid: randomUUID(), former: [], clusters: {} };
      writeSafely(path, made);
      return made;
    }
    const read = nodeSchema.safeParse(jsonOf(text));
    if (read.success) return read.data;
    throw new Error(
      `${path}, which says who this node is, is damaged. If nothing of the node is left, remove it and start once with --take-over; else put it back from a copy ("uid" as etcd has it below node/)`,
    );
  }

  writeNode(node: NodeFile): void {
    writeSafely(this.#own('node.json'), node);
    this.#node = node;
  }

  /** Damaged ones are asked for anew by the next question. */
  networks(): Record<string, NetworkFacts> {
    const read = z
      .record(z.string(), networkSchema)
      .safeParse(jsonOf(readIf(this.#own('networks.json')) ?? '{}'));
    // reason: etcd's settings are what a question brought, which was looked at then
    return read.success ? (read.data as Record<string, NetworkFacts>) : {};
  }

  writeNetworks(networks: Readonly<Record<string, NetworkFacts>>): void {
    writeSafely(this.#own('networks.json'), networks);
  }

  /** Names of networks with a file of blocks. */
  names(): string[] {
    return readdirSync(this.path)
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length));
  }

  /** undefined where there is none. One that is damaged is told, put aside, and counts as lost. */
  blocks(network: string, tell: (sentence: string) => void): BlocksFile | undefined {
    const path = blocksPath(this.path, network);
    try {
      return readBlocks(path);
    } catch (error) {
      if (!(error instanceof CniError)) throw error;
      renameSync(path, `${path}.damaged`);
      tell(`${error.message}; it is at ${path}.damaged now, and is made anew from what etcd has`);
      return undefined;
    }
  }

  writeBlocks(network: string, file: BlocksFile): void {
    writeText(blocksPath(this.path, network), formatBlocks(file), 0o644);
  }

  /** A person's word for the running agent, said by a second call of the program. */
  say(word: Word): void {
    writeSafely(this.#own(word), {});
  }

  /** Whether it was said; it counts once. */
  heard(word: Word): boolean {
    const path = this.#own(word);
    if (readIf(path) === undefined) return false;
    rmSync(path, { force: true });
    return true;
  }

  #own(name: string): string {
    return join(this.path, 'agent', name);
  }
}
export type Word = 'accept-restored' | 'take-over';

function writeSafely(path: string, value: object): void {
  writeText(path, `${JSON.stringify(value, undefined, 1)}\n`, 0o600);
}

/** Whole or not at all, and on the disk when it returns. */
function writeText(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  try {
    writeFileSync(temporary, text, { mode, flush: true });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function readIf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** undefined for what is no JSON: the schema then refuses it. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
