import { callPlugin, ownPlugin, type Reply, replyResult, replyText } from '@cni-ts/invoke/call-plugin';
import { searchFolders } from '@cni-ts/invoke/environment';
import { findPlugin } from '@cni-ts/invoke/find-plugin';
import type { Input } from '@cni-ts/invoke/input';
import { pluginError, runPlugin } from '@cni-ts/invoke/run-plugin';
import { CniError, oneLine, toCniError } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { decodeResult, takenResult } from '@cni-ts/spec/result-version';
import { wasUndone } from './interrupted.ts';
import type { Delegate, DryRun, Plugin } from './plugin.ts';
import type { Surroundings } from './process.ts';
import type { Undo } from './undo.ts';

/** What a delegate needs of the call it is part of. */
export interface DelegatingCall {
  readonly around: Surroundings;
  /** The configuration as received. */
  readonly input: Input;
  readonly cniVersion: string;
  readonly undo: Undo;
  /** The protocol itself, for a delegate that is part of this program. */
  readonly servePlugin: (plugin: Plugin, around: Surroundings, input: Input) => Promise<Reply>;
}

/** Delegation (CNI specification, section 4): the other plugin gets the same configuration and environment with its
 *  own command, whatever the caller's command is. */
export function delegateTo(type: string, call: DelegatingCall): Delegate {
  const silent = async (command: string): Promise<void> => {
    await run(type, command, call);
  };
  return {
    add: () => add(type, call),
    check: () => silent('CHECK'),
    del: () => silent('DEL'),
    gc: () => silent('GC'),
    status: () => silent('STATUS'),
    async plan() {
      const answer = await beyond(type, 'PLAN', call);
      if (answer === undefined) return undefined;
      // reason: a plugin of this program made it (dispatch.ts)
      const { result, ...rest } = answer as Omit<DryRun, 'result'> & { result: unknown };
      return { ...rest, result: takenResult(decodeResult(call.cniVersion, result)) };
    },
    async repair() {
      // reason: a plugin of this program made it (dispatch.ts)
      const answer = (await beyond(type, 'REPAIR', call)) as { repaired: readonly string[] } | undefined;
      return answer?.repaired ?? [];
    },
  };
}

/** A command beyond the specification, which only a plugin of this program knows; undefined for another. */
async function beyond(type: string, command: 'PLAN' | 'REPAIR', call: DelegatingCall): Promise<unknown> {
  const path = findDelegate(type, call);
  const { inProcess, kin } = call.around;
  const own = inProcess && ownPlugin(path, { lookup: inProcess, kin });
  if (!(command === 'PLAN' ? own?.plan : own?.repair)) return undefined;
  return JSON.parse(replyText(await run(type, command, call, path)));
}

async function add(type: string, call: DelegatingCall): Promise<Result> {
  // Outside the try: where there is no plugin, there is nothing its DEL could clean up.
  const path = findDelegate(type, call);
  try {
    const result = takenResult(replyResult(await run(type, 'ADD', call, path), call.cniVersion));
    call.undo.add(`${type} (its ADD)`, async () => {
      await run(type, 'DEL', call);
    });
    return result;
  } catch (thrown) {
    const failure = toCniError(thrown);
    throw isTaken(failure) ? failure : await afterDel(failure, type, call);
  }
}

/**
 * What host-local says, the reference's as well as ours, when this very container and interface has an address already,
 * or the one asked for is held, maybe by itself. It has taken nothing then, and its DEL would release what an earlier ADD
 * took, from under a living container.
 */
function isTaken({ message }: CniError): boolean {
  return (
    message.includes('duplicate allocation is not allowed') ||
    (message.includes('requested IP address ') && message.includes(' is not available in range set '))
  );
}

/** A delegate that failed halfway cleans up by its own DEL (CNI specification, section 4). One that a signal stopped, and
 *  that says it has left nothing, has: its DEL would wait for what the ADD has waited for. */
async function afterDel(failure: CniError, type: string, call: DelegatingCall): Promise<CniError> {
  if (wasUndone(failure)) return failure;
  try {
    await run(type, 'DEL', call);
    return failure;
  } catch (thrown) {
    // The first failure is the one to report; this one only says that something may be left.
    const why = oneLine(toCniError(thrown));
    // What stands in the way of both, such as a folder that cannot be opened, is told once.
    const left = oneLine(failure).includes(why)
      ? `the DEL of ${type} after it failed for the same reason`
      : `the DEL of ${type} after it failed too: ${why}`;
    const details = failure.details === '' ? left : `${failure.details}; ${left}`;
    return new CniError(failure.code, failure.message, details, { cause: failure });
  }
}

function findDelegate(type: string, { around }: DelegatingCall): string {
  return findPlugin(type, searchFolders(around.env));
}

async function run(
  type: string,
  command: string,
  call: DelegatingCall,
  path = findDelegate(type, call),
): Promise<Reply> {
  const { around, input, servePlugin } = call;
  const env = { ...around.env, CNI_COMMAND: command };
  const { inProcess, kin, ownNetns, writeStderr } = around;
  // It is not told of signals: who delegated to it asks before it answers.
  const inner = {
    env,
    writeStderr,
    ...(inProcess && { inProcess }),
    ...(kin && { kin }),
    ...(ownNetns && { ownNetns }),
  };
  const own = inProcess && {
    lookup: inProcess,
    kin,
    call: (plugin: Plugin) => servePlugin(plugin, inner, input),
  };
  const program = async () => {
    const outcome = await runPlugin(path, env, input.text);
    if (outcome.stderr !== '' && (outcome.why === '' || outcome.stdout !== '')) writeStderr(outcome.stderr);
    if (outcome.why !== '') throw pluginError(outcome);
    return outcome.stdout;
  };
  const { log } = call.undo;
  if (log === undefined) return callPlugin(path, own, program);
  const before = log.step(`${type} ${command}`);
  try {
    const reply = await callPlugin(path, own, program);
    log.step(before);
    return reply;
  } catch (error) {
    log.failed(error);
    throw error;
  }
}
