/**
 * Fixtures of kernel tests. `host` is a fresh network namespace that the test's thread is in, so a plugin called
 * from the test takes it for the host's; `container` is another one, bound to a file as runtimes do it. Nothing of
 * the machine is touched, and all is gone after the test.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Netns } from '@cni-ts/libc/netns';
import type { Ended } from '@cni-ts/libc/program';
import { writeSysctl } from '@cni-ts/libc/sysctl';
import { test as base } from 'vitest';
import { runProgram } from './programs.ts';
import { output } from './shell.ts';

/** A namespace one can type commands into. */
export interface Place {
  /** Runs a shell command there and returns its output; throws with what it said when it fails. */
  sh(command: string): string;
  /** Runs a shell command there; whether it succeeded. */
  succeeds(command: string): boolean;
}

export interface Host extends Place {
  /** A folder for the files a plugin makes; it belongs to the snapshot. */
  readonly dir: string;
  /** A folder for executables, to be put into CNI_PATH. */
  readonly bin: string;
  /** One more container. */
  container(name: string): Container;
}

export interface Container extends Place {
  /** What a runtime would say in CNI_NETNS. */
  readonly path: string;
  readonly netns: Netns;
  /** Takes the namespace away, as when a machine was restarted. */
  remove(): void;
}

/** What has nothing for a shell to do. */
const plainWords = /^[\w@%+:,./-]+(?: [\w@%+=:,./-]+)*$/;
const programs = new Map<string, string>();

/** Thousands of commands are typed in the tests, so none starts a program that it could do without, and none is started in
 *  Node's own way, which copies the page tables of a process of some hundred megabytes. */
function shell(command: string): Ended {
  const [name = '', ...args] = plainWords.test(command) ? command.split(' ') : [];
  const program = programNamed(name);
  if (program !== '') return runProgram(program, args, process.env, '');
  const changes = ipChanges(command);
  return changes === undefined ? bash(command) : changedBy(changes);
}

function bash(command: string): Ended {
  return runProgram('/bin/bash', ['-c', command], process.env, '');
}

/** What `ip` does by itself, one after the other. What it shows depends on what it showed before, so that is not in here. */
const ipChange = /^ip (?:link|address|addr|route|rule|neigh) (?:add|set|del|delete|replace) /;

/** The commands of a script of several, if each is such a change. */
function ipChanges(script: string): string[] | undefined {
  const commands = script.split(/[;\n]/).flatMap((command) => command.trim() || []);
  const areAll = commands.every((command) => ipChange.test(command) && plainWords.test(command));
  return areAll && commands.length > 1 ? commands : undefined;
}

/** One process for all. A shell goes on after a command that failed: that one and those after it are left to a shell. */
function changedBy(commands: readonly string[]): Ended {
  const lines = commands.map((command) => `${command.slice('ip '.length)}\n`).join('');
  const ended = runProgram(programNamed('ip') || 'ip', ['-batch', '-'], process.env, lines);
  const failedAt = /^Command failed -:(\d+)$/m.exec(ended.stderr)?.[1];
  return failedAt === undefined ? ended : bash(commands.slice(Number(failedAt) - 1).join('\n'));
}

/** '' for what only a shell knows. A test may have a PATH of its own. */
function programNamed(name: string): string {
  const { PATH: path = '' } = process.env;
  const key = `${path} ${name}`;
  const known = programs.get(key);
  if (known !== undefined) return known;
  const folders = name === '' || name.includes('/') ? [] : path.split(':');
  const found = folders.map((folder) => `${folder}/${name}`).find((file) => existsSync(file)) ?? '';
  programs.set(key, found);
  return found;
}

/** Moves the thread into a fresh namespace, as every `host` is; for tests that need no fixture. */
export function freshHost(): void {
  Netns.unshareThread();
  // A new namespace may copy these from the machine's.
  writeSysctl('net/ipv4/ip_forward', '0');
  if (existsSync('/proc/sys/net/ipv6')) writeSysctl('net/ipv6/conf/all/forwarding', '0');
}

function makeContainer(dir: string, name: string, prepare: () => void): Container {
  const path = join(dir, `netns-${name}`);
  const netns = Netns.createAt(path);
  netns.run(prepare);
  let present = true;
  return {
    path,
    netns,
    sh: (command) =>
      output(
        command,
        netns.run(() => shell(command)),
      ),
    succeeds: (command) => netns.run(() => shell(command)).status === 0,
    remove() {
      // Another one may have the name by now, and another file the descriptor.
      if (!present) return;
      present = false;
      Netns.remove(path);
      netns.close();
    },
  };
}

/** The fixture's making, for suites that make their tests themselves. Call `end` when the test is over. `prepare` is
 *  called in each new namespace, the containers' too. */
export function makeHost(prepare: () => void = () => undefined): { host: Host; end(): void } {
  freshHost();
  prepare();
  const folder = mkdtempSync(join(tmpdir(), 'cni-test-'));
  const [dir, bin] = [join(folder, 'files'), join(folder, 'bin')];
  for (const one of [dir, bin]) mkdirSync(one);
  const containers: Container[] = [];
  const host: Host = {
    dir,
    bin,
    sh: (command) => output(command, shell(command)),
    succeeds: (command) => shell(command).status === 0,
    container(name) {
      const made = makeContainer(folder, name, prepare);
      containers.push(made);
      return made;
    },
  };
  return {
    host,
    end() {
      for (const container of containers) container.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const test = base.extend<{ host: Host; container: Container }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's needs from this pattern
  host: async ({}, use) => {
    const { host, end } = makeHost();
    await use(host);
    end();
  },
  container: async ({ host }, use) => {
    await use(host.container('container'));
  },
});
