/** One node of the rig: a place with disk, agent and launchers of its own, which can be switched off and on. */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  createWriteStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseBlocks } from '@cni-ts/cluster/blocks-file';
import type { Store } from './history.ts';
import { Launcher, type LauncherAnswer, type LauncherCall } from './launcher.ts';
import { configOf, type RigNetwork } from './networks.ts';
import { agentCommand, askAgent } from './product.ts';
import { killed, now, Place, sh, sleep } from './stage.ts';

export interface NodeSetup {
  readonly folder: string;
  readonly launcher: string;
  readonly bin: string;
  readonly endpoints: readonly string[];
  readonly lanes: number;
  readonly networks: readonly RigNetwork[];
  /** Of each agent. */
  readonly agentOptions?: readonly string[];
  /** Of its disk, a tmpfs; without it its state is on the machine's disk. */
  readonly disk?: number;
}

export class RigNode {
  readonly name: string;
  /** As etcd knows it. */
  readonly nodeName: string;
  readonly place: Place;
  readonly folder: string;
  readonly setup: NodeSetup;
  /** Of its agent from the next start on. */
  agentOptions: readonly string[];
  #lanes: Launcher[] = [];
  #agent: ChildProcess | undefined;
  #on = true;
  #collections = 0;

  private constructor(name: string, nodeName: string, place: Place, folder: string, setup: NodeSetup) {
    this.name = name;
    this.nodeName = nodeName;
    this.place = place;
    this.folder = folder;
    this.setup = setup;
    this.agentOptions = setup.agentOptions ?? [];
  }

  static async open(name: string, address: string, setup: NodeSetup, nodeName = name): Promise<RigNode> {
    const folder = join(setup.folder, name);
    mkdirSync(join(folder, 'disk'), { recursive: true });
    if (setup.disk) sh(`mount -t tmpfs -o size=${setup.disk}k tmpfs ${folder}/disk`);
    writeFileSync(join(folder, 'boot_id'), `${randomUUID()}\n`);
    const place = await Place.open(
      name,
      address,
      `mount --bind ${folder}/boot_id /proc/sys/kernel/random/boot_id; mount -t tmpfs tmpfs /var/lib; mkdir /var/lib/cni; mount --bind ${folder}/disk /var/lib/cni`,
    );
    const node = new RigNode(name, nodeName, place, folder, setup);
    node.writeConfigs(setup.networks);
    node.#startLanes();
    return node;
  }

  get isOn(): boolean {
    return this.#on;
  }

  get hasSmallDisk(): boolean {
    return Boolean(this.setup.disk);
  }

  get hasAgent(): boolean {
    return this.#agent !== undefined && this.#agent.exitCode === null && this.#agent.signalCode === null;
  }

  /** Resident memory of the agent, bytes; 0 without one. */
  get agentMemory(): number {
    if (!this.hasAgent) return 0;
    const [, kilobytes = '0'] =
      /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#agent?.pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  }

  get socket(): string {
    return this.place.path('/run/cni-ts/cluster.sock');
  }

  writeConfigs(networks: readonly RigNetwork[]): void {
    for (const network of networks) writeFileSync(this.config(network), configOf(network));
  }

  config(network: RigNetwork): string {
    return join(this.folder, `${network.name}.json`);
  }

  /** A configuration for GC after which nothing is left. */
  configOfNone(network: RigNetwork): string {
    const file = join(this.folder, `${network.name}.none.json`);
    writeFileSync(file, configOf(network, []));
    return file;
  }

  #startLanes(): void {
    const { launcher, bin, lanes, networks } = this.setup;
    const plugin = String(networks[0]?.ipam.type ?? 'cluster-pool');
    this.#lanes = Array.from(
      { length: lanes },
      () => new Launcher(this.place, launcher, join(bin, plugin), bin),
    );
  }

  /** Another plugin than that of its networks, on a lane of its own. */
  launcherOf(plugin: string): Launcher {
    const { launcher, bin } = this.setup;
    return new Launcher(this.place, launcher, join(bin, plugin), bin);
  }

  startAgent(more: readonly string[] = [], endpoints = this.setup.endpoints): void {
    const [command = '', ...args] = agentCommand({
      ...{ node: this.nodeName, endpoints },
      more: [...this.agentOptions, ...more],
    });
    const log = createWriteStream(join(this.folder, 'agent.log'), { flags: 'a' });
    const { PATH = '' } = process.env;
    this.#agent = this.place.start(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH } });
    this.#agent.stdout?.pipe(log, { end: false });
    this.#agent.stderr?.pipe(log, { end: false });
  }

  async stopAgent(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await killed(this.#agent, signal);
    this.#agent = undefined;
  }

  pauseAgent(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#agent?.kill(signal);
  }

  ask(question: object, seconds?: number): Promise<Record<string, unknown>> {
    return askAgent(this.socket, question, seconds);
  }

  /** Whether its agent answers, reaches etcd, and has nothing to complain of. */
  async isWell(): Promise<boolean> {
    return (await this.complaint()) === undefined;
  }

  /** What keeps it from being well. */
  async complaint(): Promise<string | undefined> {
    try {
      const status = (await this.ask({ ask: 'status' }, 3)) as {
        ok?: boolean; // reason: as agent-talk.ts has it
        etcd?: { reachable?: boolean; error?: string };
        trouble?: string[];
      };
      if (status.ok && status.etcd?.reachable && status.trouble?.length === 0) return undefined;
      return JSON.stringify(status);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  call(lane: number, call: LauncherCall): Promise<LauncherAnswer | undefined> {
    return this.#lanes[lane]?.call(call) ?? Promise.resolve(undefined);
  }

  /** GC with what lives. */
  collect(lane: number, network: RigNetwork, live: readonly string[]): Promise<LauncherAnswer | undefined> {
    const file = join(this.folder, `gc-${this.#collections++ % 64}.json`);
    writeFileSync(file, configOf(network, live));
    return this.call(lane, { verb: 'GC', id: 'gc', config: file });
  }

  /** The folder of a network's reservations. */
  reservations(network: Pick<RigNetwork, 'name'>): string {
    return join(this.folder, 'disk/networks', network.name);
  }

  /** The agent's file of a network's blocks. */
  blocksFile(network: RigNetwork): string {
    return join(this.folder, 'disk/cluster', `${network.name}.json`);
  }

  /** How many blocks the network has here. */
  blocksOf(network: RigNetwork): number {
    const path = this.blocksFile(network);
    return parseBlocks(readFileSync(path, 'utf8'), path).blocks.length;
  }

  store(network: RigNetwork): Store {
    const folder = this.reservations(network);
    const names = namesIn(folder).filter((name) => /^[0-9a-f.:]+$/.test(name) && /[.:]/.test(name));
    const reservations = names.flatMap((address) => {
      const text = readFileSync(join(folder, address), 'latin1');
      // An empty file is the trace of one that was killed: it keeps nothing.
      return text === '' ? [] : [{ address, id: text.split('\r\n', 1)[0] ?? '' }];
    });
    return { node: this.name, network: network.name, reservations };
  }

  /** The power goes. */
  powerOff(): void {
    this.#on = false;
    this.place.cable(false);
    for (const pid of this.#processes()) kill(pid, 'SIGKILL');
    this.#agent = undefined;
    this.#lanes = [];
  }

  /** Back through a boot: what is on disk is there, what was in /run is not, and no container runs. */
  powerOn(): void {
    writeFileSync(join(this.folder, 'boot_id'), `${randomUUID()}\n`);
    this.place.sh('rm -rf /run/cni-ts/* /run/netns/*; nft flush ruleset');
    this.place.cable(true);
    this.#on = true;
    this.#startLanes();
    this.startAgent();
  }

  /** Everything on it stands still, or goes on. */
  pauseAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const pid of this.#processes()) kill(pid, signal);
  }

  /** All processes in its namespaces but the one that holds them. */
  #processes(): number[] {
    const own = readlinkSync(`/proc/${this.place.pid}/ns/net`);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== this.place.pid)
      .filter((name) => {
        try {
          return readlinkSync(`/proc/${name}/ns/net`) === own;
        } catch {
          return false; // reason: it has ended meanwhile
        }
      })
      .map(Number);
  }

  /** Seconds until the agent answers and is well; throws after `limit`. */
  async waitUntilWell(limit = 60): Promise<number> {
    const began = now();
    for (;;) {
      const complaint = await this.complaint();
      if (complaint === undefined) return now() - began;
      if (now() - began > limit)
        throw new Error(`the agent of ${this.name} is not well after ${limit} s: ${complaint}`);
      await sleep(0.2);
    }
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) lane.kill();
    await this.stopAgent();
    this.place.close();
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // reason: it has ended meanwhile
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // reason: nothing was reserved yet
  }
}
