/** The host that is tortured: this thread's network namespace, a fresh one for each `Host`, and folders in the mounts of
 *  the run. */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Child, Command } from '@cni-ts/libc/child';
import { Netns } from '@cni-ts/libc/netns';
import { type Snapshot, snapshot } from '@cni-ts/testing/snapshot';
import type { Seen, Verb } from './verdict.ts';

export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** How long one call may take. Waiting for a lock of sixty others is not hanging. */
const secondsOfCall = 15;

/** One call of a plugin: all that is needed to make it again. */
export interface Call {
  readonly verb: Verb | string;
  readonly type: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | Uint8Array;
  /** A shell's words around the call, for what is done to its descriptors and to bytes of its environment: `exec "$0"`
   *  runs the plugin. */
  readonly through?: string;
}

export class Host {
  readonly bin: string;
  #containers = new Set<string>();

  /** Moves the thread into a fresh namespace and empties the folders of state. */
  constructor(bin: string) {
    this.bin = bin;
    Netns.unshareThread();
    for (const folder of ['/var/lib/cni', '/run/cni-ts', '/run/cni']) {
      for (const name of namesIn(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    }
    this.sh(
      'ip link set lo up; ip link add uplink type veth peer name far; ip link set uplink up; ip link set far up; ip address add 10.254.0.1/24 dev uplink; echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding',
    );
  }

  /** A container's namespace; its path. */
  container(name: string): string {
    const path = `/run/netns/${name}`;
    Netns.createAt(path).close();
    this.#containers.add(path);
    return path;
  }

  removeContainer(path: string): void {
    if (this.#containers.delete(path)) Netns.remove(path);
  }

  close(): void {
    for (const path of this.#containers) Netns.remove(path);
    this.#containers.clear();
  }

  start({ type, env, stdin, through }: Call): Child {
    const file = join(this.bin, type);
    const all = { PATH: searchPath, ...env };
    const command =
      through === undefined ? new Command(file, [], all) : new Command('/bin/sh', ['-c', through, file], all);
    return new Child(command, stdin);
  }

  /** Calls a plugin and waits for its end. */
  call(call: Call): Seen {
    const child = this.start(call);
    try {
      return child.wait(secondsOfCall);
    } catch {
      return { status: undefined, stdout: '', stderr: '' }; // reason: it was killed, which the caller tells
    }
  }

  /** Runs a shell command on this host; a failure is an error with what it said. */
  sh(command: string): string {
    const ended = new Child(new Command('/bin/sh', ['-c', command], { PATH: searchPath }), '').wait(60);
    if (ended.status !== 0) throw new Error(`${command}: exit status ${ended.status}: ${ended.stderr}`);
    return ended.stdout;
  }

  /** All there is on the host and in these containers, one thing a line. */
  everything(containers: readonly string[] = []): Set<string> {
    const lines = new Set(linesOf('host', snapshot(undefined, '/var/lib/cni')));
    for (const file of filesIn('/run/cni').concat(filesIn('/run/cni-ts'))) {
      // An index of reservations is no state: it is made again from the folder it is about.
      if (!file.startsWith('/run/cni-ts/host-local/')) lines.add(`file ${file}`);
    }
    for (const path of containers) {
      const netns = Netns.open(path);
      // Settings live in the namespace and end with it.
      const { settings: _, ...state } = snapshot(netns);
      netns.close();
      for (const line of linesOf('container', state)) lines.add(line);
    }
    return lines;
  }
}

function linesOf(place: string, state: Partial<Snapshot>): string[] {
  return Object.entries(state).flatMap(([member, value]) => {
    const list = Array.isArray(value) ? value : Object.entries(value as object);
    return list.map((one) => `${place} ${member}: ${JSON.stringify(one)}`);
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // reason: nobody has made it yet
  }
}

function filesIn(folder: string): string[] {
  return namesIn(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? filesIn(path) : [path];
  });
}

/** What is there that was not, and the other way round, without what `expected` knows. */
export function difference(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
  expected: (line: string) => boolean = () => false,
): string[] {
  const more = [...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`);
  const less = [...before].filter((line) => !after.has(line)).map((line) => `- ${line}`);
  return [...more, ...less].filter((line) => !expected(line));
}

/** The addresses that are reserved, over all networks: `network/address`. */
export function reservations(): string[] {
  const root = '/var/lib/cni/networks';
  return namesIn(root).flatMap((network) =>
    namesIn(join(root, network))
      .filter((name) => /^[0-9a-f.:]+$/.test(name))
      .map((name) => `${network}/${name} ${readFileSync(join(root, network, name), 'latin1')}`),
  );
}
