/** For tests: a bridge with DHCP servers on one side and containers on the other, the daemon and the plugin as processes. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isListening } from '@cni-ts/testing/is-listening';
import { type Container, type Host, makeHost, type Place } from '@cni-ts/testing/namespaces';
import { sourceProgram } from '@cni-ts/testing/source-program';

export const executables = process.env.CNI_TS_EXECUTABLES;

/** The reference, where it is installed: Debian's is older than 1.1.0 but speaks the same protocol. */
export const goDhcp = ['/opt/peers/usr/lib/cni/dhcp', '/usr/lib/cni/dhcp'].find((path) => existsSync(path));

/** Whether there is such a program in PATH. */
export function isThere(name: string): boolean {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.some((folder) => existsSync(join(folder, name)));
}

export function program(which: 'ours' | 'go'): readonly [file: string, args: readonly string[]] {
  if (which === 'go') return [goDhcp ?? '/nonexistent', []];
  if (executables !== undefined) return [join(executables, 'dhcp'), []];
  const [file, ...args] = sourceProgram(join(import.meta.dirname, '../src/main.ts'));
  return [file, args];
}

/** A process whose output is kept. */
export interface Running {
  readonly process: ChildProcess;
  readonly log: () => string;
  readonly ended: Promise<number | null>;
}

/** An ADD's result or an error. Tests look at the members they expect, and fail where they are not there. */
export interface Json {
  readonly code: number;
  readonly msg: string;
  readonly details: string;
  readonly ips: { address: string; gateway?: string }[];
  readonly routes: { dst: string; gw?: string; scope?: number; mtu?: number; priority?: number }[];
  readonly dns?: object;
  readonly ntp?: string[];
  readonly changes: object[];
}

export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What stands on stdout; {} where that is no object. */
  readonly json: Json;
}

export interface Call {
  readonly ipam?: object;
  readonly config?: object;
  readonly args?: string;
  readonly id?: string;
  readonly ifname?: string;
  readonly netns?: string;
  readonly which?: 'ours' | 'go';
}

export class Lab implements AsyncDisposable {
  readonly host: Host;
  readonly folder = mkdtempSync(join(tmpdir(), 'dhcp-lab-'));
  readonly socket = join(this.folder, 'run/dhcp.sock');
  readonly state = join(this.folder, 'leases');
  readonly #end: () => void;
  readonly #running: Running[] = [];
  #containers = 0;

  /** `made`: a host that is there already. */
  constructor(made = makeHost()) {
    const { host, end } = made;
    this.host = host;
    this.#end = end;
    host.sh(
      'ip link set lo up; ip link add br0 type bridge forward_delay 0 mcast_snooping 0; ip link set br0 up',
    );
  }

  /** A namespace on the bridge with that address, for a server. */
  serverPlace(name = 'server', address = '192.168.7.1/24'): Container {
    const place = this.host.container(name);
    this.#plug(place, name, 'srv0');
    place.sh(`ip addr add ${address} dev srv0`);
    return place;
  }

  /** A container whose eth0 is on the bridge. */
  container(name = `c${++this.#containers}`, ifname = 'eth0'): Container {
    const container = this.host.container(name);
    this.#plug(container, name, ifname);
    return container;
  }

  #plug(place: Container, name: string, ifname: string): void {
    const port = `p-${name}`.slice(0, 15);
    const { host } = this;
    host.sh(`ip link add ${port} type veth peer name x-${name}`);
    host.sh(`ip link set x-${name} netns ${place.path}`);
    host.sh(`ip link set ${port} master br0 up`);
    place.sh(`ip link set lo up; ip link set x-${name} name ${ifname}; ip link set ${ifname} up`);
  }

  start(file: string, args: readonly string[], place?: Container, env: object = {}): Running {
    let text = '';
    const begin = () =>
      spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } }) as never;
    const child = (place ? place.netns.run(begin) : begin()) as unknown as ChildProcess;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (text += String(data)));
    const ended = new Promise<number | null>((resolve) => {
      child.on('close', resolve); // its last words included
      child.on('error', () => resolve(-1));
    });
    const running = { process: child, log: () => text, ended };
    this.#running.push(running);
    return running;
  }

  /** dnsmasq with a range of that many addresses from 192.168.7.10 on. Its shortest lease is two minutes. */
  async dnsmasq(
    place: Container,
    range = '192.168.7.10,192.168.7.250,2m',
    ...options: string[]
  ): Promise<Running> {
    const leases = join(this.folder, `dnsmasq-${this.#running.length}`);
    const running = this.start(
      'dnsmasq',
      [
        '--keep-in-foreground',
        '--conf-file=/dev/null',
        '--port=0',
        '--interface=srv0',
        '--bind-interfaces',
        '--log-facility=-',
        '--log-dhcp',
        '--user=root',
        '--pid-file=',
        '--no-ping',
        '--dhcp-authoritative',
        `--dhcp-leasefile=${leases}`,
        `--dhcp-range=${range}`,
        ...options,
      ],
      place,
    );
    await until(
      () => running.log().includes('DHCP, IP range') || running.log().includes('DHCP, sockets'),
      'dnsmasq',
      running.log,
    );
    return running;
  }

  /** The daemon with a socket and leases of its own. */
  async daemon(flags: readonly string[] = [], which: 'ours' | 'go' = 'ours'): Promise<Running> {
    const [file, args] = program(which);
    const own = which === 'ours' ? ['-statedir', this.state] : [];
    const running = this.start(file, [...args, 'daemon', '-socketpath', this.socket, ...own, ...flags]);
    await until(() => isListening(this.socket), 'the daemon', running.log);
    return running;
  }

  config({ ipam = {}, config = {} }: Call = {}): string {
    return JSON.stringify({
      cniVersion: '1.0.0',
      name: 'mynet',
      type: 'bridge',
      ipam: { type: 'dhcp', daemonSocketPath: this.socket, ...ipam },
      ...config,
    });
  }

  /** The plugin as a runtime starts it. */
  spawnCall(
    command: string,
    place: Place & { path?: string },
    given: Call = {},
  ): ChildProcessWithoutNullStreams {
    const [file, args] = program(given.which ?? 'ours');
    const path = given.netns ?? place.path ?? '';
    const env = {
      PATH: process.env.PATH,
      CNI_COMMAND: command,
      CNI_CONTAINERID: given.id ?? path.slice(path.lastIndexOf('-') + 1),
      CNI_NETNS: path,
      CNI_IFNAME: given.ifname ?? 'eth0',
      CNI_PATH: '/nonexistent',
      CNI_ARGS: given.args ?? '',
    };
    const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {}); // one that does not read its configuration
    child.stdin.end(this.config(given));
    return child;
  }

  /** Calls the plugin as a runtime does. */
  call(command: string, place: Place & { path?: string }, given: Call = {}): Promise<Answer> {
    const child = this.spawnCall(command, place, given);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => (stdout += String(data)));
    child.stderr.on('data', (data) => (stderr += String(data)));
    return new Promise((resolve) => {
      child.on('close', (status) =>
        resolve({ status, stdout, stderr, json: stdout.startsWith('{') ? JSON.parse(stdout) : {} }),
      );
    });
  }

  /** Calls and expects success. */
  async succeed(command: string, place: Place & { path?: string }, given: Call = {}): Promise<Answer> {
    const answer = await this.call(command, place, given);
    if (answer.status !== 0) throw new Error(`${command} failed: ${answer.stdout}${answer.stderr}`);
    return answer;
  }

  /** The address of the result. */
  async add(place: Container, given: Call = {}): Promise<string> {
    const { json } = await this.succeed('ADD', place, given);
    return json.ips[0]!.address;
  }

  /** What the daemon keeps. */
  get kept(): string[] {
    return existsSync(this.state) ? readdirSync(this.state).filter((name) => name.endsWith('.lease')) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.#running) process.kill('SIGKILL');
    await Promise.all(this.#running.map(({ ended }) => ended));
    this.#end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits until it is so. */
export async function until(
  holds: () => boolean,
  what: string,
  log: () => string = () => '',
  milliseconds = 10_000,
): Promise<void> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await pause(20)) if (holds()) return;
  throw new Error(`${what}: not within ${milliseconds} ms\n${log()}`);
}

/** How often something stands in a text. */
export function count(text: string, what: string | RegExp): number {
  return text.split(what).length - 1;
}
