import type { VersionedResult } from '@cni-ts/spec/result-version';
import type { RuntimeConf } from './attachment.ts';
import type { NetworkList } from './network-list.ts';
import { inVersionForDel } from './network-version.ts';
import type { PluginRunner } from './plugin-runner.ts';
import type { SpanContext } from './trace-context.ts';
import { textOf } from './wrapped-error.ts';

/** What an ADD that failed had begun. */
export interface Begun {
  /** With the plugins that were asked, the one that failed included. */
  readonly list: NetworkList;
  readonly conf: RuntimeConf;
  /** Of the last plugin that succeeded. */
  readonly last: VersionedResult | undefined;
}

/** DEL of all these plugins, last first, whatever happens. Returns what is to be thrown: the ADD's failure, and what else went
 *  wrong. */
export async function takenBack(
  runner: PluginRunner,
  error: unknown,
  { list, conf, last }: Begun,
  span: SpanContext | undefined,
): Promise<unknown> {
  const result = inVersionForDel(last, list.cniVersion);
  const first = textOf(error);
  const left: string[] = [];
  for (const plugin of list.plugins.toReversed()) {
    try {
      // Without the signal that may have stopped the ADD: this is what has to be done after it.
      await runner.attachment('DEL', list, plugin, conf, result, { signal: undefined, span });
    } catch (thrown) {
      const why = textOf(thrown);
      left.push(first.includes(why) ? `${plugin.type} for the same reason` : `${plugin.type}: ${why}`);
    }
  }
  if (left.length === 0) return error;
  return new Error(`${first}; taking back what was made failed too, of ${left.join('; of ')}`, {
    cause: error,
  });
}
