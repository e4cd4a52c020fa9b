/**
 * A host for end-to-end tests: the test's thread moves into a network namespace of its own, so every program started
 * from it, ours and the Go ones, takes that for the host's. Nothing of the machine is touched: reservations, caches
 * and namespace files lie in a temporary folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import { runProgram } from '@cni-ts/testing/programs';
import { type Snapshot, snapshot } from '@cni-ts/testing/snapshot';

export const ours = resolve(import.meta.dirname, '../../dist/bin');
/** The Go plugins as Debian packages them. */
export const theirs = '/usr/lib/cni';

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as JSON, undefined when it is empty or none. */
  readonly json: Record<string, unknown> | undefined;
}

/** What a runtime tells a plugin. */
export interface Call {
  readonly command: string;
  readonly netns?: string;
  readonly containerId?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Folders of plugins; default: ours. */
  readonly path?: string;
}

/** What every program gets: never the machine's own system bus. */
function outside(): Record<string, string> {
  const { PATH = '', DBUS_SYSTEM_BUS_ADDRESS = 'unix:path=/nonexistent/bus' } = process.env;
  return { PATH, DBUS_SYSTEM_BUS_ADDRESS };
}

/** `status`: null when a signal ended it. */
function bash(command: string): { status: number | null; stdout: string; stderr: string } {
  const { status = null, stdout, stderr } = runProgram('/bin/bash', ['-c', command], process.env, '');
  return { status, stdout, stderr };
}

/** Moves the calling thread away from the machine's network for good. */
export class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), 'cni-e2e-'));
  /** What plugins and runtime write: reservations, cache, remembered values. Belongs to `left`. */
  readonly state = join(this.dir, 'state');
  readonly networks = join(this.state, 'networks');
  /** The namespace beyond the host's uplink, once `addWorld` was called, and the addresses of both ends. */
  readonly world = join(this.dir, 'netns', 'world');
  readonly outsideAddress = '192.0.2.2';
  readonly uplinkAddress = '192.0.2.1';
  readonly outsideAddress6 = '2001:db8::2';
  readonly uplinkAddress6 = '2001:db8::1';
  #containers: string[] = [];
  #children: ChildProcess[] = [];

  constructor() {
    Netns.unshareThread();
    mkdirSync(join(this.dir, 'netns'));
    mkdirSync(this.state);
    this.sh('ip link set lo up');
    this.sh('echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding');
  }

  /** A container's namespace, by a name of ours. */
  container(name: string): string {
    const path = join(this.dir, 'netns', name);
    Netns.createAt(path).close();
    this.#containers.push(path);
    return path;
  }

  /** Gives the host an uplink, and at its other end a machine that has no route to any container: only masqueraded
   *  traffic gets an answer from there. */
  addWorld(): void {
    this.container('world');
    this.sh(`ip link add uplink type veth peer name eth0 netns ${this.world}`);
    const addresses = (four: string, six: string, dev: string) =>
      `ip address add ${four}/24 dev ${dev}; ip address add ${six}/64 dev ${dev} nodad; ip link set ${dev} up`;
    this.sh(addresses(this.uplinkAddress, this.uplinkAddress6, 'uplink'));
    this.inside(this.world, addresses(this.outsideAddress, this.outsideAddress6, 'eth0'));
  }

  /** A folder of configurations with this one network, for cnitool. 1.0.0 is the newest version that Debian 12's Go
   *  plugins know. */
  network(name: string, plugins: readonly object[], cniVersion = '1.0.0', folderName = name): string {
    const folder = join(this.dir, `${folderName}.d`);
    mkdirSync(folder);
    writeFileSync(join(folder, '10.conflist'), JSON.stringify({ cniVersion, name, plugins }));
    return folder;
  }

  /** A folder for CNI_PATH with each plugin from where it is wanted. */
  pluginsFrom(name: string, from: Readonly<Record<string, string>>): string {
    const folder = join(this.dir, `${name}.plugins`);
    mkdirSync(folder);
    for (const [plugin, source] of Object.entries(from))
      symlinkSync(join(source, plugin), join(folder, plugin));
    return folder;
  }

  /** Links, rules, qdiscs, settings of the host and files of plugins and runtime, for comparing. */
  left(): Snapshot {
    return snapshot(undefined, this.state);
  }

  /** A TCP server in a container that greets whoever connects with `text`. */
  async serve(netns: string, port: number, text: string): Promise<void> {
    const program = `require('node:net').createServer((socket) => socket.on('error', () => {}).end(process.argv[2]))
      .listen(process.argv[1], () => console.log('ready')); setTimeout(() => process.exit(), 60000)`;
    const opened = Netns.open(netns);
    const child = opened.run(() =>
      spawn(process.execPath, ['-e', program, String(port), text], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    opened.close();
    this.#children.push(child);
    await new Promise((ready) => child.stdout?.once('data', ready));
  }

  /** What a TCP server says to somebody in `netns` ('' is the host); '' when there is no connection within 2 s. */
  greeting(netns: string, address: string, port: number): string {
    // The connection is made by the shell that redirects, so that one is what has to be timed.
    const command = `timeout 2 bash -c 'cat </dev/tcp/${address}/${port}' 2>/dev/null`;
    if (netns !== '') return this.inside(netns, command).stdout;
    return bash(command).stdout;
  }

  /** Runs a shell command on the host and returns its output; a failure is an error with what it said. */
  sh(command: string): string {
    const { status, stdout, stderr } = bash(command);
    if (status !== 0) throw new Error(`${command}: ${stderr}`);
    return stdout;
  }

  /** Runs a shell command in a container; the exit status and what it printed. */
  inside(netns: string, command: string): { status: number | null; stdout: string; stderr: string } {
    const opened = Netns.open(netns);
    try {
      return opened.run(() => bash(command));
    } finally {
      opened.close();
    }
  }

  /** Executes a plugin as a runtime does. */
  async plugin(file: string, config: unknown, call: Call): Promise<Answer> {
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    return finish(spawn(file, { env: this.environment(call) }), text);
  }

  /** The same program for the same call, ours and theirs differing in the file only. */
  environment(call: Call): Record<string, string> {
    const env: Record<string, string> = { ...outside(), CNI_COMMAND: call.command };
    const given = {
      CNI_CONTAINERID: call.containerId ?? 'c1',
      CNI_NETNS: call.netns ?? '',
      CNI_IFNAME: call.ifname ?? 'eth0',
      CNI_PATH: call.path ?? ours,
      CNI_ARGS: call.args ?? '',
    };
    return { ...env, ...given };
  }

  /** Runs the operator's tool with a folder of configurations. */
  async cnitool(args: string[], env: Record<string, string> = {}): Promise<Answer> {
    const tool = join(ours, 'cnitool');
    const all = {
      ...outside(),
      CNI_PATH: ours,
      CNI_CACHE_DIR: join(this.state, 'cache'),
      ...env,
    };
    return finish(spawn(tool, args, { env: all }), '');
  }

  /** Names of the links on the host. */
  links(): string[] {
    const listed = JSON.parse(this.sh('ip -j link')) as { ifname: string }[]; // reason: iproute2's JSON
    return listed.map(({ ifname }) => ifname).sort();
  }

  /** The addresses reserved for a network, by file name. */
  reservations(network: string): string[] {
    const folder = join(this.networks, network);
    if (!existsSync(folder)) return [];
    return readdirSync(folder).filter((name) => /^[0-9a-f.:]+$/.test(name));
  }

  close(): void {
    for (const child of this.#children) child.kill();
    for (const path of this.#containers) if (existsSync(path)) Netns.remove(path);
    rmSync(this.dir, { recursive: true });
  }
}

/** How cnitool names the container of a namespace. */
export function containerIdOf(netns: string): string {
  return `cnitool-${createHash('sha512').update(netns).digest('hex').slice(0, 20)}`;
}

function finish(child: ChildProcess, stdin: string): Promise<Answer> {
  return new Promise((done, fail) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', fail);
    child.on('close', (status) => done({ status: status ?? -1, stdout, stderr, json: parsed(stdout) }));
    // A plugin that answers without reading (VERSION) may be gone already: EPIPE is no failure of the test.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON: the caller sees the text
  }
}

/** Copies a program by a process of its own. A file that this process had open for writing would be open in what another
 *  test's thread starts at that moment, and could not be executed ("Text file busy"). */
export function copyProgram(from: string, to: string): void {
  const { status, stderr } = bash(`cp '${from}' '${to}'`);
  if (status !== 0) throw new Error(`${to} was not copied: ${stderr}`);
}
