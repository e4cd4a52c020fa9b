/**
 * Plugins that are part of the running program are called instead of executed: a program start is most of what a
 * short plugin costs. A file counts as part of the program when it is the same program (isThisProgram) and the program
 * knows a plugin of its name. What a caller sees is the same as after execution, but for one thing: a
 * plugin that is running cannot be killed. An ADD that is called off while it runs undoes what it made and fails.
 */
import { basename } from 'node:path';
import type { Outcome } from '@cni-ts/invoke/run-plugin';
import { isThisProgram } from '@cni-ts/libc/program-file';
import { callPlugin } from '@cni-ts/skeleton/dispatch';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Executor, PluginRun } from './executor.ts';
import { settle } from './reply.ts';
import { syncExecutor } from './sync-executor.ts';

export interface InProcessOptions {
  /** The plugins this program contains. */
  readonly lookup: (type: string) => Plugin | undefined;
  /**
   * Runs everything else. Default: processes that are waited for as a called plugin is, with the same stderr. A program
   * that must go on meanwhile, or kill a plugin that takes too long, gives a `processExecutor`.
   */
  readonly others?: Executor;
  readonly stderr?: (text: string) => void;
  /** The program's own file, where the program itself cannot tell: then only links to it are the program. */
  readonly self?: string;
  /** Called around each plugin, so that a signal meant for the plugin does not end the program in the middle of it. */
  readonly holdSignals?: () => HeldSignals;
}

export interface HeldSignals {
  /** Name of the first signal that came. */
  interrupted(): string | undefined;
  release(): void;
}

export function inProcessExecutor(options: InProcessOptions): Executor {
  const { lookup, self, stderr = (text: string) => void process.stderr.write(text) } = options;
  const others = options.others ?? syncExecutor({ stderr });
  return {
    ...others,
    async run(run) {
      const plugin = isThisProgram(run.program, self) ? lookup(basename(run.program)) : undefined;
      if (plugin === undefined || run.signal?.aborted) return others.run(run);
      const held = options.holdSignals?.();
      try {
        return settle(await call(plugin, run, lookup, held), stderr);
      } finally {
        held?.release();
      }
    },
  };
}

async function call(
  plugin: Plugin,
  run: PluginRun,
  inProcess: InProcessOptions['lookup'],
  held: HeldSignals | undefined,
): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const status = await callPlugin(plugin, {
    env: run.env,
    readStdin: () => run.stdin,
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    inProcess,
    interrupted: () => held?.interrupted() ?? (run.signal?.aborted ? 'the caller' : undefined),
  });
  return { why: status === 0 ? '' : `exit status ${status}`, stdout, stderr };
}
