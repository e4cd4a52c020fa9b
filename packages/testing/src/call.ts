import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Process } from '@cni-ts/skeleton/process';
import type { Result } from '@cni-ts/spec/result';
import { type Fault, reported, underFault } from './fault-injector.ts';
import type { Container, Host } from './namespaces.ts';
import { executables, programOf } from './plugin-process.ts';
import { runProgram } from './programs.ts';
import { writeProgram } from './shell.ts';

/** How a plugin is called. What is left out is what most tests want. */
export interface Call {
  readonly config: object;
  /** CNI_NETNS is its path, unless `netns` says otherwise. */
  readonly container?: Container | undefined;
  readonly netns?: string;
  readonly containerId?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Goes into the configuration, as a runtime does for CHECK and DEL. */
  readonly prevResult?: object | undefined;
  /** CNI_PATH. */
  readonly path?: string;
  /** Other plugins of the same program; see `pluginFolder`. */
  readonly plugins?: readonly Plugin[];
  readonly interrupted?: () => string | undefined;
  /** What is done to it on the way. It is a process of its own then, also from sources, and `plugins` are not in it. */
  readonly fault?: Fault;
}

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** ADD's result; undefined when it failed. */
  readonly result: Result | undefined;
  readonly error: { code: number; msg: string; details?: string } | undefined;
  /** Under a fault: the changes to kernel and disk until then, in words, the one it happened at included. */
  readonly changes: readonly string[];
}

export type Command = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS' | 'VERSION' | 'PLAN' | 'REPAIR';

export { executables };

/** Calls a plugin as its executable would be, in this process and in the thread's namespace. */
export async function call(plugin: Plugin, command: Command, { config, ...given }: Call): Promise<Answer> {
  let stdout = '';
  let stderr = '';
  let status: number | undefined;
  let changes: readonly string[] = [];
  const full = given.prevResult ? { ...config, prevResult: given.prevResult } : config;
  const streams: Process = {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: given.containerId ?? 'c1',
      CNI_NETNS: given.netns ?? given.container?.path ?? '',
      CNI_IFNAME: given.ifname ?? 'eth0',
      CNI_ARGS: given.args ?? '',
      CNI_PATH: given.path ?? '/nonexistent',
      PATH: process.env.PATH,
    },
    readStdin: () => JSON.stringify(full),
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    inProcess: (type) => given.plugins?.find((one) => one.type === type),
    ...(given.interrupted ? { interrupted: given.interrupted } : {}),
  };
  if (executables === undefined && !given.fault) status = await callPlugin(plugin, streams);
  else {
    const env = { ...process.env, ...streams.env };
    ({ status, stdout, stderr, changes } = run(programOf(plugin), env, streams.readStdin(), given.fault));
  }
  const json = stdout.trim().startsWith('{') ? JSON.parse(stdout) : undefined;
  return {
    status: status ?? -1, // a signal ended it
    stdout,
    stderr,
    result: status === 0 && command === 'ADD' ? json : undefined,
    error: status === 0 ? undefined : json,
    changes,
  };
}

function run(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string | undefined>>,
  input: string,
  fault: Fault | undefined,
): Pick<Answer, 'stdout' | 'stderr' | 'changes'> & { status: number | undefined } {
  if (!fault) return { ...runProgram(program, args, env, input), changes: [] };
  const folder = mkdtempSync(join(tmpdir(), 'cni-fault-'));
  try {
    const report = join(folder, 'changes');
    const ended = runProgram(...underFault(fault, report, program, args), env, input);
    return { ...ended, changes: reported(report) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What an error says; '' where there is none. */
export async function message(answer: Promise<Answer>): Promise<string> {
  return (await answer).error?.msg ?? '';
}

/** Calls and expects success; the error's text otherwise. */
export async function succeed(plugin: Plugin, command: Command, given: Call): Promise<Answer> {
  const answer = await call(plugin, command, given);
  if (answer.status !== 0)
    throw new Error(`${plugin.type} ${command} failed: ${answer.stdout}${answer.stderr}`);
  return answer;
}

/**
 * A folder for CNI_PATH in which these plugins are this very program, so that delegation to them happens in-process,
 * as in the shipped executable.
 */
export function pluginFolder(host: Host, ...types: string[]): string {
  for (const type of types) {
    symlinkSync(executables === undefined ? process.execPath : join(executables, type), join(host.bin, type));
  }
  return host.bin;
}

/**
 * An IPAM executable that answers ADD with `reply` (a result, or with `status` 1 an error object), and writes each
 * command it got to `<folder>/<name>.log`. Returns a function that reads the log.
 */
export function fakeIpam(folder: string, name: string, reply: object, status = 0): () => string[] {
  mkdirSync(folder, { recursive: true });
  const log = join(folder, `${name}.log`);
  writeFileSync(log, '');
  const text = JSON.stringify(reply).replaceAll("'", "'\\''");
  const script = `#!/bin/sh\ncat >/dev/null\necho "$CNI_COMMAND" >>'${log}'\n[ "$CNI_COMMAND" = ADD ] || exit 0\nprintf '%s' '${text}'\nexit ${status}\n`;
  writeProgram(join(folder, name), script);
  return () => process.getBuiltinModule('node:fs').readFileSync(log, 'utf8').split('\n').filter(Boolean);
}
