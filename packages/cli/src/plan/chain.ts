/** A whole chain is planned, each plugin with what the dry run of those before it predicts. */
import type { RuntimeConf } from '@cni-ts/libcni/attachment';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { textOf } from '@cni-ts/libcni/wrapped-error';
import type { Change, DryRun } from '@cni-ts/skeleton/plugin';
import { decodeResult, resultJson, type VersionedResult } from '@cni-ts/spec/result-version';
import type { VerbCall } from '../verb.ts';

/** Of one plugin. `foreign`: it is not ours and has no PLAN; `unknown`: it needs what such a one would answer; `fails`: ADD
 *  would fail, and so nothing of the chain would be made. */
export interface PlannedPlugin {
  readonly type: string;
  readonly state: 'planned' | 'foreign' | 'unknown' | 'fails';
  readonly changes: readonly Change[];
  readonly code?: string;
  readonly message?: string;
  /** What might fail ADD, and cannot be known without a change. */
  readonly notes?: readonly string[];
}

export interface ChainPlan {
  readonly plugins: readonly PlannedPlugin[];
  /** What ADD would answer, as far as that is known; undefined where it is not. */
  readonly result?: object;
}

export async function planChain(
  list: NetworkList,
  conf: RuntimeConf,
  { runtime, isOurs }: Pick<VerbCall, 'runtime' | 'isOurs'>,
): Promise<ChainPlan> {
  const plugins: PlannedPlugin[] = [];
  let previous: VersionedResult | undefined;
  let isKnown = true;
  for (const plugin of list.plugins) {
    const { type } = plugin;
    const program = runtime.programOf(type);
    if (program === undefined) {
      const message = `ADD would fail: it is in none of ${runtime.path.join(', ')}`;
      plugins.push({ type, state: 'fails', changes: [], code: 'CNI3045', message });
      return { plugins };
    }
    if (!isOurs(program)) {
      const message = `${program} is not ours: what it would make cannot be known`;
      plugins.push({ type, state: 'foreign', changes: [], code: 'CNI3042', message });
      isKnown = false;
      continue;
    }
    try {
      const answer = JSON.parse(await runtime.askPlugin('PLAN', list, plugin, conf, previous));
      // What they print is theirs and ours: dispatch.ts of @cni-ts/skeleton.
      const { changes, result, notes } = answer as Omit<DryRun, 'result'> & { result: unknown };
      plugins.push({ type, state: 'planned', changes, ...(notes && { notes }) });
      previous = decodeResult(list.cniVersion || '0.1.0', result);
    } catch (error) {
      const why = textOf(error);
      if (!isKnown) {
        const message = `what it would make follows from what those before it answer: ${why}`;
        plugins.push({ type, state: 'unknown', changes: [], code: 'CNI3046', message });
        continue;
      }
      plugins.push({ type, state: 'fails', changes: [], code: 'CNI3045', message: `ADD would fail: ${why}` });
      return { plugins };
    }
  }
  return { plugins, ...(isKnown && previous && { result: resultJson(previous) }) };
}
