/**
 * An agent of cluster-pool for tests: it answers on a socket and keeps the file of blocks, as the real one does, and has its
 * blocks of a list instead of etcd. It is a process of its own, since a plugin waits for its answer in system calls. What it
 * does can be changed while it runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCidr } from '@cni-ts/address/cidr';
import type { Question } from '@cni-ts/cluster/agent-talk';
import { blockOf } from '@cni-ts/cluster/block';
import {
  type BlocksFile,
  blocksPath,
  formatBlocks,
  type HeldBlock,
  readBlocks,
} from '@cni-ts/cluster/blocks-file';
import { isListening } from './is-listening.ts';

export interface FakeBehaviour {
  /** Blocks that nobody has yet, `10.0.0.0/26`; the first that fits is given. */
  readonly blocks?: readonly string[];
  /** Addresses for owners whose address is to stay theirs; the first that fits is given. */
  readonly pins?: readonly string[];
  /** Its answer to every question for addresses. */
  readonly refuses?: { readonly code: number; readonly message: string; readonly details?: string };
  /** It takes questions and never answers. */
  readonly silent?: boolean;
  /** Its answers to questions of a kind, as they are, instead of what it would answer. */
  readonly answers?: Readonly<Partial<Record<Question['ask'], unknown>>>;
  /** What it says of itself. */
  readonly trouble?: readonly string[];
}

/** Where it is and what it does: for its process. */
export interface FakeSettings extends FakeBehaviour {
  readonly socket: string;
  readonly stateDir: string;
}

export class FakeClusterAgent {
  readonly folder = mkdtempSync(join(tmpdir(), 'agent-'));
  readonly socket = join(this.folder, 'socket');
  readonly stateDir: string;
  #behaviour: FakeBehaviour = {};
  #process: ChildProcess | undefined;

  /** `stateDir`: of the files of blocks; its own folder unless told. Not running yet. */
  constructor(stateDir?: string) {
    this.stateDir = stateDir ?? join(this.folder, 'state');
    mkdirSync(this.stateDir, { recursive: true });
  }

  /** Starts it, and waits until it can be asked. */
  async start(behaviour: FakeBehaviour = this.#behaviour): Promise<this> {
    this.behave(behaviour);
    const server = join(import.meta.dirname, '../test/fake-agent-server.ts');
    const args = ['--disable-warning=ExperimentalWarning', server, this.#settings];
    this.#process = spawn(process.execPath, args, { stdio: 'inherit' });
    for (const end = Date.now() + 15_000; !isListening(this.socket); ) {
      if (Date.now() > end) throw new Error('the agent of the test does not start');
      await new Promise((done) => setTimeout(done, 20));
    }
    return this;
  }

  /** From the next question on. */
  behave(behaviour: FakeBehaviour): void {
    this.#behaviour = behaviour;
    const settings: FakeSettings = { ...behaviour, socket: this.socket, stateDir: this.stateDir };
    writeFileSync(`${this.#settings}.new`, JSON.stringify(settings));
    renameSync(`${this.#settings}.new`, this.#settings);
  }

  /** All it was asked so far. */
  get questions(): Question[] {
    const path = questionsPath(this.#settings);
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  }

  /** The node's file of blocks of a network. */
  file(network: string): BlocksFile | undefined {
    return readBlocks(blocksPath(this.stateDir, network));
  }

  /** Writes that file: blocks of the space "default", held unless told. */
  give(network: string, blocks: readonly (string | FakeBlock)[], boot = bootId()): void {
    const all = blocks.map((one) => heldBlock(typeof one === 'string' ? { block: one } : one));
    const file = { node: 'node1', boot, blocks: all };
    writeFileSync(blocksPath(this.stateDir, network), formatBlocks(file));
  }

  /** As if it had never held a block. */
  forget(): void {
    rmSync(this.stateDir, { recursive: true });
    mkdirSync(this.stateDir);
  }

  /** Ends it; its files stay until `end`. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running) return;
    const ended = new Promise((done) => running.once('exit', done));
    running.kill('SIGKILL');
    await ended;
    rmSync(this.socket, { force: true });
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #settings(): string {
    return join(this.folder, 'settings.json');
  }
}

export interface FakeBlock extends Partial<Omit<HeldBlock, 'first' | 'length'>> {
  /** `10.0.0.0/26` */
  readonly block: string;
}

/** A block as the file has it. */
export function heldBlock({ block, ...more }: FakeBlock): HeldBlock {
  const cidr = parseCidr(block);
  if (!cidr) throw new Error(`${block} is no block`);
  return {
    ...blockOf(cidr.ip, cidr.prefix),
    state: 'held',
    space: 'default',
    revision: '1',
    claim: 'chance',
    ...more,
  };
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Where the questions are written that came. */
export function questionsPath(settings: string): string {
  return `${settings}.questions`;
}
