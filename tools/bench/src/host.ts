/** One side's host: a network namespace of its own with the folders its plugins write to, so that neither side meets
 *  rules, bridges or reservations of the other. All of it lies in the bench's own mounts. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, Command } from '@cni-ts/libc/child';
import { Netns } from '@cni-ts/libc/netns';
import { writeSysctl } from '@cni-ts/libc/sysctl';

/** `floor` executes no plugin: it is the host for kernel requests alone. */
export type SideName = 'ours' | 'theirs' | 'floor';

export interface Side {
  readonly name: SideName;
  /** The folder its plugins are in. */
  readonly folder: string;
}

/** What programs find in PATH, the same for both sides. */
export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export class Host {
  readonly side: Side;
  readonly netns: Netns;
  readonly dir: string;
  /** Where host-local keeps its reservations. */
  readonly dataDir: string;
  #containers = new Map<number, string>();
  #commands = new Map<string, Command>();

  /** `root` is a folder on a tmpfs of the bench's own. */
  constructor(side: Side, root: string) {
    this.side = side;
    this.dir = join(root, side.name);
    this.dataDir = join(this.dir, 'networks');
    mkdirSync(this.dataDir, { recursive: true });
    this.netns = Netns.createAt(`/run/netns/host-${side.name}`);
    this.sh('ip link set lo up');
    // A new namespace may copy these from the machine's.
    this.netns.run(() => {
      writeSysctl('net/ipv4/ip_forward', '0');
    });
  }

  /** The path of the namespace of a container, made when it is first asked for. */
  container(index: number): string {
    const known = this.#containers.get(index);
    if (known) return known;
    const path = `/run/netns/${this.side.name}-${index}`;
    Netns.createAt(path).close();
    this.#containers.set(index, path);
    return path;
  }

  file(program: string): string {
    return join(this.side.folder, program);
  }

  /** A program of this side for one call; made once, so that later starts cost the same on both sides. */
  command(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Command {
    const key = JSON.stringify([program, args, env]);
    const known = this.#commands.get(key);
    if (known) return known;
    const made = new Command(this.file(program), args, { PATH: searchPath, ...env });
    this.#commands.set(key, made);
    return made;
  }

  /** Starts a child on this host. */
  start(command: Command, input?: string): Child {
    return this.netns.run(() => new Child(command, input));
  }

  /** Runs a shell command on this host and returns its output; a failure is an error with what it said. Input and
   *  output are files, for they may be larger than a pipe. */
  sh(command: string, input = ''): string {
    const [stdin, stdout] = [join(this.dir, 'stdin'), join(this.dir, 'stdout')];
    writeFileSync(stdin, input);
    const shell = new Command('/bin/sh', ['-c', `exec <${stdin} >${stdout}\n${command}`], {
      PATH: searchPath,
    });
    const ended = this.start(shell, '').wait(120);
    if (ended.status !== 0) throw new Error(`${command}: exit status ${ended.status}: ${ended.stderr}`);
    return readFileSync(stdout, 'utf8');
  }

  /** The addresses reserved for a network. */
  reservations(network: string): string[] {
    try {
      return readdirSync(join(this.dataDir, network)).filter((name) => /^[0-9a-f.:]+$/.test(name));
    } catch {
      return []; // there is no such folder before the first ADD
    }
  }

  close(): void {
    for (const path of this.#containers.values()) Netns.remove(path);
    Netns.remove(`/run/netns/host-${this.side.name}`);
    this.netns.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
