/**
 * cnitool: the operator's way to attach a network namespace to a network by hand. Commands, outputs and errors are
 * those of the reference tool; `validate`, `version`, `--keep`, `--exec` and CNI_CACHE_DIR are ours.
 */
import type { Environment } from '@cni-ts/libcni/environment';
import { inProcessExecutor } from '@cni-ts/libcni/in-process';
import { Operations } from '@cni-ts/libcni/operations';
import { syncExecutor } from '@cni-ts/libcni/sync-executor';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { type CommandLine, type Option, readCommandLine } from './command-line.ts';
import { holdSignals } from './hold-signals.ts';
import { pluginPath } from './settings.ts';
import { commonOptions, helpOf, helpOption, usageOf } from './usage.ts';
import { verbNamed } from './verbs.ts';

export interface CnitoolIo {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** The plugins that are part of this very program: called instead of executed, unless `--exec` says otherwise. */
  readonly inProcess?: (type: string) => Plugin | undefined;
  /** The file of this program. Default: process.execPath. */
  readonly self?: string;
}

/** `argv` without the program's name. Returns the exit status: 0, or 1 with the reason on stderr. */
export async function cnitool(argv: readonly string[], io: CnitoolIo): Promise<number> {
  const line = readCommandLine(argv, optionsOf);
  const [name] = line.words;
  let answer: string;
  try {
    answer = await answerTo(line, io);
  } catch (error) {
    const usage =
      error instanceof UnknownCommandError ? "Run 'cnitool --help' for usage.\n" : `${usageOf(name)}\n`;
    return report(io, textOf(error), usage);
  }
  io.stdout(answer);
  return 0;
}

function optionsOf(command: string | undefined): readonly Option[] {
  return [...(verbNamed(command)?.options ?? []), ...commonOptions, helpOption];
}

class UnknownCommandError extends Error {
  constructor(name: string) {
    super(`unknown command ${JSON.stringify(name)} for "cnitool"`);
  }
}

async function answerTo({ words, options, problem }: CommandLine, io: CnitoolIo): Promise<string> {
  const [name, ...args] = words;
  const verb = verbNamed(name);
  // Who asks for help gets it, whatever else is wrong.
  if (options.has('help')) return helpOf(verb && name);
  if (problem !== undefined) throw new Error(problem);
  if (name === undefined) return helpOf();
  if (name === 'help') return helpOn(args[0]);
  if (!verb) throw new UnknownCommandError(name);
  const least = verb.needs.length;
  if (args.length < least) {
    throw new Error(`requires at least ${least} arg(s), only received ${args.length}`);
  }
  const ifname = options.get('ifname')?.at(-1);
  const keep = options.get('keep');
  return verb.run({
    args,
    options: { ...(ifname !== undefined && { ifname }), ...(keep && { keep }) },
    env: io.env,
    runtime: runtimeOf(io, options.has('exec') || io.env.CNITOOL_EXEC === '1'),
  });
}

function helpOn(name: string | undefined): string {
  if (name === undefined || name === 'help') return helpOf();
  if (!verbNamed(name)) throw new UnknownCommandError(name);
  return helpOf(name);
}

function runtimeOf({ env, stderr, inProcess, self }: CnitoolIo, exec: boolean): Operations {
  const executor =
    inProcess === undefined || exec
      ? syncExecutor({ stderr })
      : inProcessExecutor({ lookup: inProcess, stderr, holdSignals, ...(self && { self }) });
  const log = (line: string) => stderr(`cnitool: ${line}\n`);
  return new Operations({ path: pluginPath(env), cacheDir: env.CNI_CACHE_DIR ?? '', executor, env, log });
}

/** The reason first and last: scripts read the first line, people the end of what is on their screen. */
function report(io: CnitoolIo, reason: string, usage: string): number {
  io.stderr(`Error: ${reason}\n${usage}${reason}\n`);
  return 1;
}
