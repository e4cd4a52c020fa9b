/** The environment a plugin is run with: the runtime's own, six CNI variables, the trace (spec section 2). */
import { delimiter } from 'node:path';
import type { RuntimeConf } from './attachment.ts';
import { type SpanContext, traceVariables } from './trace-context.ts';

export type Command = 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS' | 'VERSION' | 'VALIDATE' | 'PLAN' | 'REPAIR';

export type Environment = Readonly<Record<string, string | undefined>>;

/** All six are always set, empty where they do not apply, so that nothing inherited shines through. */
export function pluginEnvironment(
  own: Environment,
  command: Command,
  path: readonly string[],
  conf?: RuntimeConf,
  span?: SpanContext,
): Record<string, string> {
  return Object.assign(present(own), {
    CNI_COMMAND: command,
    CNI_CONTAINERID: conf?.containerId ?? '',
    CNI_NETNS: conf?.netns ?? '',
    CNI_ARGS: (conf?.args ?? []).map(([key, value]) => `${key}=${value}`).join(';'),
    CNI_IFNAME: conf?.ifname ?? '',
    CNI_PATH: path.join(delimiter),
    ...traceVariables(span),
  });
}

/** Plugins older than the VERSION command check variables before they look at the command: they get dummies. */
export function versionEnvironment(own: Environment, span?: SpanContext): Record<string, string> {
  return pluginEnvironment(
    own,
    'VERSION',
    ['dummy'],
    { containerId: '', netns: 'dummy', ifname: 'dummy' },
    span,
  );
}

function present(own: Environment): Record<string, string> {
  const set: Record<string, string | undefined> = { ...own };
  for (const name in set) if (set[name] === undefined) delete set[name];
  return set as Record<string, string>; // reason: those without a value are gone
}
