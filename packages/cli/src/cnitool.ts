/**
 * cnitool: the operator's way to attach a network namespace to a network by hand. Commands, outputs and errors are
 * those of the reference tool; `validate`, `version`, `--keep`, `--all`, `--exec` and CNI_CACHE_DIR are ours.
 */
import type { Environment } from '@cni-ts/libcni/environment';
import { processExecutor } from '@cni-ts/libcni/executor';
import { inProcessExecutor } from '@cni-ts/libcni/in-process';
import { Runtime } from '@cni-ts/libcni/runtime';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Command } from 'commander';
import { holdSignals } from './hold-signals.ts';
import { pluginPath } from './settings.ts';
import { type Verb, type VerbCall, verbs } from './verbs.ts';

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
  const plain = plainCall(argv, io);
  let failed: { readonly verb: string; readonly error: unknown } | undefined;
  if (plain) {
    try {
      io.stdout(await plain.run());
      return 0;
    } catch (error) {
      failed = { verb: plain.verb, error };
    }
  }
  const { Command, CommanderError } = await import('commander');
  const program = describe(new Command('cnitool'), io);
  try {
    const verb = program.commands.find((one) => one.name() === failed?.verb);
    if (failed && verb) throw new Failure(verb, failed.error);
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof Failure) return report(io, error.message, usageAfter(error));
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    return report(io, error.message.replace(/^error: /, ''), `${program.helpInformation()}\n`);
  }
}

/**
 * A verb with just its arguments, as scripts call the tool: commander is then needed for no more than the usage text
 * after an error, and loading it takes longer than attaching a container.
 */
function plainCall(
  [name = '', ...args]: readonly string[],
  io: CnitoolIo,
): { readonly verb: string; run(): Promise<string> } | undefined {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb || args.length < verb.needs.length || args.some((arg) => arg.startsWith('-'))) return undefined;
  const call = { args, options: {}, env: io.env, runtime: runtimeOf(io, io.env.CNITOOL_EXEC === '1') };
  return { verb: name, run: async () => verb.run(call) };
}

/** Keeps the command that failed with its reason, for the usage text between the two tellings of the reason. */
class Failure extends Error {
  readonly verb: Command;

  constructor(verb: Command, cause: unknown) {
    super(textOf(cause), { cause });
    this.verb = verb;
  }
}

class UnknownCommandError extends Error {
  constructor(name: string) {
    super(`unknown command ${JSON.stringify(name)} for "cnitool"`);
  }
}

function describe(program: Command, io: CnitoolIo): Command {
  program
    .description('Attach network namespaces to CNI networks by hand')
    .option('-i, --ifname <name>', 'interface inside the namespace (default: $CNI_IFNAME, then eth0)')
    .option(
      '--exec',
      'run every plugin as a process, also those that are part of this program ($CNITOOL_EXEC=1)',
    )
    .allowExcessArguments()
    .helpCommand(true)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    // Errors are told by `report`, in the reference tool's form.
    .configureOutput({ writeOut: io.stdout, writeErr: () => {}, outputError: () => {} })
    .addHelpText('after', environmentHelp)
    .action((_options: unknown, self: Command) => {
      const [name] = self.args;
      if (name === undefined) return program.outputHelp();
      throw new Failure(self, new UnknownCommandError(name));
    });
  for (const [name, verb] of Object.entries(verbs)) addVerb(program, name, verb, io);
  return program;
}

const environmentHelp = `
Environment:
  NETCONFPATH    folder with network configurations (default: /etc/cni/net.d)
  CNI_PATH       folders with plugins, separated by ":"
  CNI_ARGS       K=V;K=V for the plugins
  CAP_ARGS       JSON object with values for the plugins' capabilities
  CNI_IFNAME     interface name when --ifname is not given
  CNI_CACHE_DIR  where attachments are remembered (default: /var/lib/cni)`;

function addVerb(program: Command, name: string, verb: Verb, io: CnitoolIo): void {
  // Arguments are optional to commander: their number is judged here, with the reference tool's words.
  const places = [...verb.needs.map((need) => `[${need}]`), ...(verb.takes ? [`[${verb.takes}...]`] : [])];
  const command = program
    .command([name, ...places].join(' '))
    .description(verb.about)
    .allowExcessArguments()
    .action(async (...given: unknown[]) => {
      const self = given.at(-1) as Command; // commander's last argument is always the command itself
      try {
        io.stdout(await verb.run(callOf(self, verb, io)));
      } catch (error) {
        throw new Failure(self, error);
      }
    });
  if (name === 'gc') {
    command.option('--keep <id/ifname...>', 'attachments that stay, as ‹container ID›/‹interface›');
  }
}

function callOf(command: Command, verb: Verb, io: CnitoolIo): VerbCall {
  const { args } = command;
  const least = verb.needs.length;
  if (args.length < least) {
    throw new Error(`requires at least ${least} arg(s), only received ${args.length}`);
  }
  const options = command.optsWithGlobals<VerbCall['options'] & { exec?: boolean }>();
  return {
    args,
    options,
    env: io.env,
    runtime: runtimeOf(io, options.exec === true || io.env.CNITOOL_EXEC === '1'),
  };
}

function runtimeOf({ env, stderr, inProcess, self }: CnitoolIo, exec: boolean): Runtime {
  const executor =
    inProcess === undefined || exec
      ? processExecutor({ stderr })
      : inProcessExecutor({ lookup: inProcess, stderr, holdSignals, ...(self && { self }) });
  const log = (line: string) => stderr(`cnitool: ${line}\n`);
  return new Runtime({ path: pluginPath(env), cacheDir: env.CNI_CACHE_DIR ?? '', executor, env, log });
}

function usageAfter({ verb, cause }: Failure): string {
  if (cause instanceof UnknownCommandError) return "Run 'cnitool --help' for usage.\n";
  return `${verb.helpInformation()}\n`;
}

/** The reason first and last: scripts read the first line, people the end of what is on their screen. */
function report(io: CnitoolIo, reason: string, usage: string): number {
  io.stderr(`Error: ${reason}\n${usage}${reason}\n`);
  return 1;
}
