/**
 * Plugins as processes, for a program that has nothing else to do meanwhile, such as a command-line tool: it waits for
 * each by system calls, so it needs neither event loop nor Node. A program that serves others wants `processExecutor`.
 */
import { findPlugin } from '@cni-ts/invoke/find-plugin';
import { runPlugin, startFailure } from '@cni-ts/invoke/run-plugin';
import type { Executor, ProcessOptions } from './executor.ts';
import { calledOff, unfitEnvironment } from './refusal.ts';
import { settle, supportedVersions } from './reply.ts';

/**
 * Each plugin runs as a process of its own, and the calling thread does nothing until it has ended. A signal therefore
 * keeps a plugin from being started, and does not end one that runs.
 */
export function syncExecutor(options: ProcessOptions = {}): Executor {
  const { stderr = (text: string) => void process.stderr.write(text), busyPause } = options;
  return {
    find: findPlugin,
    async run({ program, stdin, env, signal }) {
      if (unfitEnvironment(env)) return settle(startFailure(program, 'EINVAL'), stderr);
      if (signal?.aborted) return settle(calledOff(signal), stderr);
      return settle(await runPlugin(program, env, stdin, busyPause), stderr);
    },
    supportedVersions,
  };
}
