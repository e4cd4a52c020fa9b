/** A node's container runtime: it knows its attachments, calls the plugin about them, and writes down what came of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { LauncherAnswer, LauncherCall } from './launcher.ts';
import type { RigNetwork } from './networks.ts';
import type { RigNode } from './node.ts';
import type { Recorder } from './recorder.ts';
import { now } from './stage.ts';

export interface Outcome {
  readonly answer: LauncherAnswer | undefined;
  /** The plugin's sentence where it refused. */
  readonly error?: string;
}

interface Attached {
  readonly network: RigNetwork;
  readonly addresses: readonly string[];
}

let attachments = 0;

export class Runtime {
  readonly node: RigNode;
  readonly recorder: Recorder;
  /** What lives, by id, and may be deleted. */
  readonly live = new Map<string, Attached>();
  /** Of these, what CHECK is under way for: DEL waits. They live all the same. */
  readonly checking = new Map<string, Attached>();
  /** Whose ADD or DEL was killed: DEL is asked again until it answers. */
  readonly owed = new Map<string, RigNetwork>();
  #calls = 0;
  #waiting: (() => void)[] = [];

  constructor(node: RigNode, recorder: Recorder) {
    this.node = node;
    this.recorder = recorder;
  }

  /** The power goes, and its containers with it. */
  powerOff(at: number): void {
    this.recorder.add({ kind: 'off', node: this.node.name, at });
    this.live.clear();
    this.checking.clear();
    this.owed.clear();
    this.node.powerOff();
  }

  async add(
    lane: number,
    network: RigNetwork,
    more: Pick<LauncherCall, 'signal' | 'args'> = {},
  ): Promise<Outcome & { id: string }> {
    const id = `${this.node.name}-${++attachments}`;
    const answer = await this.#call(lane, { verb: 'ADD', id, config: this.node.config(network), ...more });
    const of = { kind: 'add', node: this.node.name, network: network.name, id } as const;
    if (!answer) {
      // The node lost its power meanwhile, and what it knew.
      this.recorder.add({ ...of, asked: now() });
      return { answer, id };
    }
    const { began, ended, status, output } = answer;
    if (status >= 128) {
      this.recorder.add({ ...of, asked: began });
      this.owed.set(id, network);
      return { answer, id };
    }
    const error = refusalOf(answer);
    if (error !== undefined) {
      this.recorder.add({ ...of, asked: began, error });
      // A runtime asks for DEL after an ADD that failed; nothing should be left without it.
      return { answer, id, error };
    }
    const addresses = (parsed(output)?.ips ?? []).map(({ address }) => address.split('/')[0] ?? '');
    const folder = this.node.reservations(network);
    const onDisk = addresses.length > 0 && addresses.every((address) => existsSync(join(folder, address)));
    this.recorder.add({ ...of, asked: began, answered: ended, addresses, onDisk });
    if (this.node.isOn) this.live.set(id, { network, addresses });
    return { answer, id };
  }

  async del(
    lane: number,
    id: string,
    network: RigNetwork,
    signal?: LauncherCall['signal'],
    config = this.node.config(network),
  ): Promise<Outcome> {
    this.live.delete(id);
    const answer = await this.#call(lane, { verb: 'DEL', id, config, ...(signal && { signal }) });
    if (!answer) return { answer };
    const of = { kind: 'del', node: this.node.name, network: network.name, id, asked: answer.began } as const;
    if (answer.status >= 128) {
      this.recorder.add(of);
      this.owed.set(id, network);
      return { answer };
    }
    const error = refusalOf(answer);
    this.recorder.add({ ...of, answered: answer.ended, ...(error !== undefined && { error }) });
    if (error === undefined) this.owed.delete(id);
    else this.owed.set(id, network);
    return { answer, ...(error !== undefined && { error }) };
  }

  async check(lane: number, id: string, network: RigNetwork): Promise<Outcome> {
    const answer = await this.#call(lane, { verb: 'CHECK', id, config: this.node.config(network) });
    if (!answer || answer.status >= 128) return { answer };
    const error = refusalOf(answer);
    this.recorder.add({
      ...{ kind: 'check', node: this.node.name, network: network.name, id },
      ...{ asked: answer.began, answered: answer.ended, ...(error !== undefined && { error }) },
    });
    return { answer, ...(error !== undefined && { error }) };
  }

  /** GC with what lives; to be called while nothing else is asked of the node. What is owed goes with it. */
  async collect(lane: number, network: RigNetwork): Promise<Outcome> {
    const valid = this.liveOf(network);
    const answer = await this.#tracked(this.node.collect(lane, network, valid));
    if (!answer || answer.status >= 128) return { answer };
    const error = refusalOf(answer);
    this.recorder.add({
      ...{ kind: 'gc', node: this.node.name, network: network.name, valid },
      ...{ asked: answer.began, answered: answer.ended, ...(error !== undefined && { error }) },
    });
    if (error === undefined) {
      for (const [id, of] of this.owed) if (of.name === network.name) this.owed.delete(id);
    }
    return { answer, ...(error !== undefined && { error }) };
  }

  liveOf(network: RigNetwork): string[] {
    return [...this.live, ...this.checking]
      .filter(([, one]) => one.network.name === network.name)
      .map(([id]) => id);
  }

  /** Resolves when no call is under way. */
  idle(): Promise<void> {
    if (this.#calls === 0) return Promise.resolve();
    return new Promise((done) => this.#waiting.push(done));
  }

  #call(lane: number, call: LauncherCall): Promise<LauncherAnswer | undefined> {
    return this.#tracked(this.node.call(lane, call));
  }

  async #tracked(answer: Promise<LauncherAnswer | undefined>): Promise<LauncherAnswer | undefined> {
    this.#calls++;
    try {
      return await answer;
    } finally {
      this.#calls--;
      if (this.#calls === 0) for (const done of this.#waiting.splice(0)) done();
    }
  }
}

interface Said {
  readonly ips?: readonly { readonly address: string }[];
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
}

function parsed(output: string): Said | undefined {
  try {
    return JSON.parse(output) as Said; // reason: what a plugin prints, as the protocol says
  } catch {
    return undefined; // reason: `refusalOf` tells what it printed
  }
}

/** undefined for a success. */
function refusalOf({ status, output }: LauncherAnswer): string | undefined {
  if (status === 0) return undefined;
  const said = parsed(output);
  return said?.msg
    ? `${said.code}: ${said.msg}${said.details ? ` (${said.details})` : ''}`
    : `no JSON: ${output.slice(0, 300)}`;
}
