/** Agents of one test, each a node with folders of its own, and a plugin's side of the talk. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatIp, nextIp } from '@cni-ts/address/ip';
import type { Answer, Question } from '@cni-ts/cluster/agent-talk';
import { blockText } from '@cni-ts/cluster/block';
import { type BlocksFile, parseBlocks } from '@cni-ts/cluster/blocks-file';
import { Agent } from '../src/agent.ts';
import { Door } from '../src/door.ts';
import type { Ledger } from '../src/ledger.ts';
import { logTo } from '../src/log.ts';
import { makeMetrics } from '../src/metrics.ts';
import type { Settings } from '../src/settings.ts';

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'cni-agent-'));
  readonly nodes: Node[] = [];

  node(name: string, connect: () => Ledger, settings: Partial<Settings> = {}, home = name): Node {
    const node = new Node(join(this.folder, home), name, connect, settings);
    this.nodes.push(node);
    return node;
  }

  async end(): Promise<void> {
    await Promise.all(this.nodes.map((one) => one.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Node {
  readonly folder: string;
  readonly name: string;
  readonly socket: string;
  readonly logs: string[] = [];
  readonly settings: Settings;
  metrics = makeMetrics();
  boot = 'boot-1';
  readonly #connect: () => Ledger;
  #running: { agent: Agent; door: Door } | undefined;

  constructor(folder: string, name: string, connect: () => Ledger, settings: Partial<Settings>) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.name = name;
    this.socket = join(folder, 'agent.sock');
    this.#connect = connect;
    this.settings = {
      node: name,
      socket: this.socket,
      stateFolder: join(folder, 'state'),
      log: 'text',
      prefix: '/cni/v1/',
      etcd: { endpoints: ['http://etcd:2379'] },
      period: 0.1,
      compare: 0.3,
      ...settings,
    };
  }

  get agent(): Agent {
    return this.#running!.agent;
  }

  async start(): Promise<this> {
    this.metrics = makeMetrics();
    const agent = new Agent({
      settings: this.settings,
      version: '0.0.0',
      log: logTo((line) => void this.logs.push(line), 'text'),
      metrics: this.metrics,
      connect: this.#connect,
      boot: this.boot,
    });
    const door = await Door.open({
      path: this.socket,
      answer: (line, signal) => agent.answer(line, signal),
      tell: (line) => void this.logs.push(line),
    });
    this.#running = { agent, door };
    return this;
  }

  /** As SIGTERM does it. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.door.close();
    await running?.agent.close();
  }

  reservations(network = 'net'): string {
    return join(this.folder, 'networks', network);
  }

  /** What every question of a network has. */
  network(network = 'net', cooldown = 0) {
    return { network, space: 'default', folder: this.reservations(network), cooldown };
  }

  block(
    more: { cidr?: string; length?: number; network?: string; now?: boolean; cooldown?: number } = {},
  ): Question {
    const { cidr = '10.0.0.0/24', length = 28, network, now = true, cooldown } = more;
    const [first = ''] = cidr.split('/');
    const last = cidr === '10.0.0.0/24' ? '10.0.0.254' : first.replace(/\d+$/, (n) => String(Number(n) + 7));
    const ranges = [{ start: first.replace(/\.0$/, '.1'), end: last, subnet: cidr, exclude: [] }];
    return { ask: 'block', ...this.network(network, cooldown), ranges, blockLength: length, now };
  }

  ask<A extends { ok: true }>(question: Question | string): Promise<Answer<A>> {
    return askAt(this.socket, question);
  }

  /** The file as a plugin reads it; undefined where there is none. */
  file(network = 'net'): BlocksFile | undefined {
    const path = join(this.settings.stateFolder, `${network}.json`);
    return existsSync(path) ? parseBlocks(readFileSync(path, 'utf8'), path) : undefined;
  }

  /** `held 10.0.0.16/28` */
  blocks(network = 'net'): string[] {
    return (this.file(network)?.blocks ?? []).map((one) => `${one.state} ${blockText(one)}`);
  }

  reserve(address: string, container = 'c1', network = 'net'): void {
    mkdirSync(this.reservations(network), { recursive: true });
    writeFileSync(join(this.reservations(network), address), `${container}\r\neth0`);
  }

  /** Takes all addresses of the blocks. */
  fill(network = 'net'): void {
    for (const block of this.file(network)?.blocks ?? []) {
      let ip = block.first;
      for (let left = 2 ** (32 - block.length); left > 0; left--, ip = nextIp(ip)) {
        this.reserve(formatIp(ip), 'c1', network);
      }
    }
  }

  empty(network = 'net'): void {
    rmSync(this.reservations(network), { recursive: true });
  }

  /** First address of the n-th block that is held. */
  firstAddress(at = 0, network = 'net'): string {
    return formatIp(this.file(network)!.blocks[at]!.first);
  }

  free(address: string, network = 'net'): void {
    rmSync(join(this.reservations(network), address));
  }
}

export function askAt<A extends { ok: true }>(path: string, question: Question | string): Promise<Answer<A>> {
  return new Promise((done, fail) => {
    const socket = connect(path);
    let text = '';
    socket.on('data', (part) => {
      text += part;
    });
    socket.on('error', fail);
    socket.on('close', () => {
      if (text === '') fail(new Error('closed without an answer'));
      else done(JSON.parse(text));
    });
    socket.write(`${typeof question === 'string' ? question : JSON.stringify(question)}\n`);
  });
}
