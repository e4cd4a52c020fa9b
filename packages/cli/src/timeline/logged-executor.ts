/** Plugins that are run while CNI_LOG asks: each run is a span, with the start of its process, whoever's plugin it is. */
import type { Executor } from '@cni-ts/libcni/executor';
import { CallLog } from '@cni-ts/skeleton/call-log';

export interface Chain {
  readonly log: CallLog;
  /** Whose chain it is, which is known once its first plugin is run. */
  readonly env: Record<string, string | undefined>;
  readonly note: (text: string) => void;
}

/** `chain`: undefined where nobody asked. */
export function loggedExecutor(executor: Executor, chain: Chain | undefined): Executor {
  if (!chain) return executor;
  return {
    ...executor,
    async run(run) {
      const type = run.program.slice(run.program.lastIndexOf('/') + 1);
      for (const name of ['CNI_CONTAINERID', 'CNI_IFNAME']) chain.env[name] = run.env[name];
      const before = chain.log.step(`${type} ${run.env.CNI_COMMAND}`);
      const env = { ...run.env, TRACEPARENT: chain.log.traceParent };
      const log = new CallLog({ kind: 'run', plugin: type, env, note: chain.note }, '');
      log.network = chain.log.network;
      // reason: not spread, for its text is made at the first look
      const within: typeof run = Object.create(run, {
        env: { value: { ...env, TRACEPARENT: log.traceParent } },
      });
      try {
        const reply = await executor.run(within);
        log.end();
        chain.log.step(before);
        return reply;
      } catch (error) {
        log.end(error);
        chain.log.failed(error);
        throw error;
      }
    },
  };
}
