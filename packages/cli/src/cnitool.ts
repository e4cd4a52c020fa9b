/**
 * cnitool: the operator's way to attach a network namespace to a network by hand. Commands, outputs and errors are
 * those of the reference tool; `validate`, `list`, `plan`, `repair`, `version`, `install`, most
 * options and CNI_CACHE_DIR are ours.
 */
import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { Environment } from '@cni-ts/libcni/environment';
import { type HeldSignals, inProcessExecutor } from '@cni-ts/libcni/in-process';
import { Operations } from '@cni-ts/libcni/operations';
import { syncExecutor } from '@cni-ts/libcni/sync-executor';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { type CommandLine, type Option, readCommandLine } from './command-line.ts';
import { commonOptions, helpOption, versionOption } from './common-options.ts';
import { holdSignals, whichStopped } from './hold-signals.ts';
import { kinship } from './kin.ts';
import { pluginPath } from './settings.ts';
import { type Chain, loggedExecutor } from './timeline/logged-executor.ts';
import { timing } from './timeline/timing.ts';
import { helpOf, usageOf } from './usage.ts';
import { CannotLookError, UsageError } from './verb.ts';
import { verbNamed, versionText } from './verbs.ts';

export interface CnitoolIo {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** The plugins that are part of this very program: called instead of executed, unless `--exec` says otherwise. */
  readonly inProcess?: (type: string) => Plugin | undefined;
  /** The file of this program, where the program itself cannot tell. */
  readonly self?: string;
  /** The folder this program is in. */
  readonly folder?: () => string | undefined;
  /** The names this very program can be installed under. */
  readonly names?: () => readonly string[];
}

/** `argv` without the program's name. Returns the exit status: 0; 1 with the reason on stderr, or where something was found; 2
 *  where it is how the tool was called; 3 where it could not look. */
export async function cnitool(argv: readonly string[], given: CnitoolIo): Promise<number> {
  const io = { ...given, stdout: untilNobodyReads(given.stdout) };
  const line = readCommandLine(argv, optionsOf);
  const [name] = line.words;
  let status = 0;
  try {
    const answer = await answerTo(line, io, (given) => {
      status = given;
    });
    io.stdout(answer);
  } catch (error) {
    return report(io, error, name);
  }
  return status;
}

/** Who has read enough (`| head -1`) is told no more, and that is no error: the work goes on, its status counts. */
function untilNobodyReads(write: (text: string) => void): (text: string) => void {
  let isOver = false;
  return (text) => {
    if (isOver) return;
    try {
      write(text);
    } catch (error) {
      if (errnoOf(error) !== 'EPIPE') throw error;
      isOver = true;
    }
  };
}

function optionsOf(command: string | undefined): readonly Option[] {
  return [...(verbNamed(command)?.options ?? []), ...commonOptions, versionOption, helpOption];
}

class UnknownCommandError extends UsageError {
  constructor(name: string) {
    super(`unknown command ${JSON.stringify(name)} for "cnitool"`);
  }
}

class TooFewArgumentsError extends UsageError {}

/** Commands of the reference tool, which ends with 1 for what it knows itself to be a wrong call. */
const ofReference: readonly (string | undefined)[] = ['add', 'check', 'del', 'gc', 'status'];

async function answerTo(
  { words, options, problem }: CommandLine,
  io: CnitoolIo,
  ends: (status: number) => void,
): Promise<string> {
  const [name, ...args] = words;
  const verb = verbNamed(name);
  // Who asks for help gets it, whatever else is wrong.
  if (options.has('help')) return helpOf(verb && name);
  if (problem !== undefined) {
    throw new UsageError(`${problem}: see "cnitool ${verb ? `${name} ` : ''}--help"`);
  }
  if (options.has('version')) return versionText();
  if (name === undefined) return helpOf();
  if (name === 'help') return helpOn(args[0]);
  if (!verb) throw new UnknownCommandError(name);
  const most = verb.needs.length;
  const least = verb.freeWith?.some((one) => options.has(one)) ? 0 : (verb.least ?? most);
  if (args.length < least) {
    throw new TooFewArgumentsError(`requires at least ${least} arg(s), only received ${args.length}`);
  }
  if (verb.takes === undefined && args.length > most) {
    const more = args.slice(most).map((one) => JSON.stringify(one));
    throw new UsageError(`${name} takes ${most} arg(s), there is nothing to do with ${more.join(', ')}`);
  }
  const held = verb.holdsSignals ? holdSignals() : undefined;
  const isOurs = kinship(io.env, io.self);
  const exec = options.has('exec') || io.env.CNITOOL_EXEC === '1';
  const timed = timing(name, args[0] ?? '', io.env, io.stderr, options.has('timing'));
  try {
    const answer = await verb.run({
      args,
      options: (option) => options.get(option),
      env: io.env,
      runtime: runtimeOf(
        { ...io, env: timed.env },
        exec,
        held,
        verb.callsKin ? isOurs : undefined,
        timed.chain,
      ),
      say: (line) => io.stdout(`${line}\n`),
      note: (line) => io.stderr(`cnitool: ${line}\n`),
      names: io.names,
      folder: io.folder,
      ends,
      plugin: (type) => io.inProcess?.(type),
      isOurs,
      stopped: async () => held && whichStopped(held),
    });
    timed.end();
    return answer;
  } catch (error) {
    timed.end(error);
    throw error;
  } finally {
    held?.release();
  }
}

function helpOn(name: string | undefined): string {
  if (name === undefined || name === 'help') return helpOf();
  if (!verbNamed(name)) throw new UnknownCommandError(name);
  return helpOf(name);
}

function runtimeOf(
  { env, stderr, inProcess, self, folder }: CnitoolIo,
  exec: boolean,
  held: HeldSignals | undefined,
  kin: ((program: string) => boolean) | undefined,
  chain: Chain | undefined,
): Operations {
  const executor =
    inProcess === undefined || exec
      ? syncExecutor({ stderr })
      : inProcessExecutor({
          lookup: inProcess,
          stderr,
          holdSignals,
          ...(self && { self }),
          ...(kin && { kin }),
        });
  return new Operations({
    path: pluginPath(env, folder),
    cacheDir: env.CNI_CACHE_DIR ?? '',
    executor: loggedExecutor(executor, chain),
    env,
    log: (line) => stderr(`cnitool: ${line}\n`),
    ...(held && { stopped: () => whichStopped(held) }),
  });
}

/** Commands that do something, so that 1 is also for what they could not do. */
const doers: readonly (string | undefined)[] = ['add', 'del', 'gc', 'repair', 'install', 'uninstall'];

/** What fails a command that only looks is that it could not look; CHECK and STATUS find something by failing, but not
 *  where they may not look. */
function couldNotLook(name: string | undefined, error: unknown): boolean {
  if (doers.includes(name)) return false;
  if (name === 'check' || name === 'status') return wasForbidden(error);
  return true;
}

/** Also in the words of a plugin that is a program of its own. */
function wasForbidden(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const code = errnoOf(error);
    if (code === 'EPERM' || code === 'EACCES') return true;
    if (/: (operation not permitted|permission denied)$/.test(error.message)) return true;
  }
  return false;
}

/** The reason, once. Where the usage follows the reason stands at its end as well: scripts read the first line, people the
 *  end of what is on their screen. */
function report(io: CnitoolIo, error: unknown, name: string | undefined): number {
  const reason = textOf(error);
  let usage: string | undefined;
  if (error instanceof UnknownCommandError) usage = "Run 'cnitool --help' for usage.\n";
  else if (error instanceof TooFewArgumentsError) usage = `${usageOf(name)}\n`;
  io.stderr(usage === undefined ? `Error: ${reason}\n` : `Error: ${reason}\n${usage}${reason}\n`);
  if (error instanceof CannotLookError || (!(error instanceof UsageError) && couldNotLook(name, error)))
    return 3;
  const isReferences = error instanceof UnknownCommandError || ofReference.includes(name);
  return error instanceof UsageError && !(usage !== undefined && isReferences) ? 2 : 1;
}
