/**
 * Plugins that are part of the running program are called instead of executed (call-plugin.ts of @cni-ts/invoke). What a
 * caller sees is the same as after execution, but for one thing: a plugin that is running cannot be killed. An ADD that is
 * called off while it runs undoes what it made and fails.
 */
import { callPlugin, type Reply } from '@cni-ts/invoke/call-plugin';
import { Input } from '@cni-ts/invoke/input';
import { servePlugin } from '@cni-ts/skeleton/dispatch';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import type { Executor, PluginRun } from './executor.ts';
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
  /** Whether another file is a plugin of ours in another build, that is to be called here all the same. */
  readonly kin?: (program: string) => boolean;
  /** Called around each plugin, so that a signal meant for the plugin does not end the program in the middle of it. */
  readonly holdSignals?: () => HeldSignals;
}

export interface HeldSignals {
  /** Name of the first signal that came. */
  interrupted(): string | undefined;
  release(): void;
}

export function inProcessExecutor(options: InProcessOptions): Executor {
  const { lookup, self, kin, stderr = (text: string) => void process.stderr.write(text) } = options;
  const others = options.others ?? syncExecutor({ stderr });
  return {
    ...others,
    async run(run) {
      if (run.signal?.aborted) return others.run(run);
      let said = '';
      const call = (plugin: Plugin) =>
        served(plugin, run, options, (text) => {
          said += text;
        });
      const reply = await callPlugin(run.program, { lookup, self, kin, call }, () => others.run(run));
      // As after an execution: what a plugin that failed has said is in its error or nowhere.
      if (said !== '') stderr(said);
      return reply;
    },
  };
}

async function served(
  plugin: Plugin,
  run: PluginRun,
  { lookup, kin, holdSignals }: InProcessOptions,
  writeStderr: (text: string) => void,
): Promise<Reply> {
  const held = holdSignals?.();
  try {
    const around = {
      env: run.env,
      writeStderr,
      inProcess: lookup,
      ...(kin && { kin }),
      interrupted: () => held?.interrupted() ?? (run.signal?.aborted ? 'the caller' : undefined),
    };
    return await servePlugin(plugin, around, run.input ?? new Input(() => run.stdin));
  } finally {
    held?.release();
  }
}
