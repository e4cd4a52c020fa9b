/**
 * How a runtime finds and runs plugins. Replaceable: by processes (here, and in sync-executor.ts), in the own process
 * (in-process.ts), in tests.
 */
import type { Reply } from '@cni-ts/invoke/call-plugin';
import { findPlugin } from '@cni-ts/invoke/find-plugin';
import type { Input } from '@cni-ts/invoke/input';
import { settle, supportedVersions } from './reply.ts';
import { runProgram } from './run-program.ts';

export interface Executor {
  /** The file of a plugin, from folders in order. Throws the texts of spec section 2's search. */
  find(type: string, path: readonly string[]): string;
  /** stdout of a run that succeeded, or the result that would be printed there. Throws a CniError for anything else. */
  run(run: PluginRun): Promise<Reply>;
  /** The list in a plugin's answer to VERSION. */
  supportedVersions(reply: string): readonly string[];
}

export interface PluginRun {
  /** The file `find` returned. */
  readonly program: string;
  readonly stdin: string;
  /** The same as a value, for who needs no text: then `stdin` is not to be asked for. */
  readonly input?: Input | undefined;
  /** The whole environment; nothing is inherited besides. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface ProcessOptions {
  /** Gets what a plugin that succeeded wrote to stderr, after it ended. Default: the own stderr. */
  readonly stderr?: (text: string) => void;
  /** Milliseconds between the attempts to start a file that is being written. */
  readonly busyPause?: number;
}

/** Each plugin runs as a process of its own. */
export function processExecutor(options: ProcessOptions = {}): Executor {
  const { stderr = (text: string) => void process.stderr.write(text), busyPause = 1000 } = options;
  return {
    find: findPlugin,
    async run({ program, stdin, env, signal }) {
      return settle(await runProgram(program, { stdin, env, signal, busyPause }), stderr);
    },
    supportedVersions,
  };
}
