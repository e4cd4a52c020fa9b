/** What became of attachments that were looked at, for people and for programs. */
import { many } from '../many.ts';

/** Of one plugin of a chain. `foreign`: it is not ours and has no REPAIR; `unseen`: that cannot be known beforehand. */
export interface PluginOutcome {
  readonly type: string;
  readonly state: 'fine' | 'repaired' | 'differs' | 'foreign' | 'unseen' | 'failed';
  /** What differed, why it failed, or why nothing is known. */
  readonly texts: readonly string[];
}

export interface Outcome {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  /** `gone`: its namespace is; `unknown`: too little is remembered of it. */
  readonly state: 'fine' | 'repaired' | 'differs' | 'failed' | 'gone' | 'unknown';
  readonly plugins: readonly PluginOutcome[];
  readonly code?: string;
  readonly message?: string;
  readonly cure?: string;
}

/** What went to the kernel's tables of rules for it. */
export interface Rules {
  readonly elements: number;
  readonly transactions: number;
}

export interface Report {
  readonly attachments: readonly Outcome[];
  readonly fine: number;
  readonly repaired: number;
  readonly differ: number;
  readonly failed: number;
  readonly gone: number;
  readonly unknown: number;
  readonly rules: Rules;
  /** The signal that ended it before all were looked at, and how many were not. */
  readonly interrupted?: { readonly signal: string; readonly left: number };
}

export function reportOf(
  attachments: readonly Outcome[],
  rules: Rules,
  interrupted: Report['interrupted'],
): Report {
  const of = (state: Outcome['state']) => attachments.filter((one) => one.state === state).length;
  return {
    attachments,
    fine: of('fine'),
    repaired: of('repaired'),
    differ: of('differs'),
    failed: of('failed'),
    gone: of('gone'),
    unknown: of('unknown'),
    rules,
    ...(interrupted && { interrupted }),
  };
}

/** A line for each that is not simply fine, and one for each of its plugins that has something to say. */
export function outcomeText({
  network,
  containerId,
  ifname,
  state,
  plugins,
  code,
  message,
  cure,
}: Outcome): string {
  const told = plugins.filter(({ state }) => state !== 'fine');
  if (state === 'fine' && told.length === 0) return '';
  const sign = { fine: ' ', repaired: '~', differs: '✗', failed: '✗', gone: '✗', unknown: '?' }[state];
  const lines = told.flatMap((one) => one.texts.map((text) => `    ${pluginWords(one)}: ${text}\n`));
  const why = [code, message].filter((part) => part !== undefined).join(' ');
  const head = `${sign} ${network} ${containerId}/${ifname} ${why || state}`;
  return `${head}${cure === undefined ? '' : ` → ${cure}`}\n${lines.join('')}`;
}

function pluginWords({ type, state }: PluginOutcome): string {
  if (state === 'failed') return `${type} could not be repaired`;
  return type;
}

/** `14 attachments: 12 fine, 2 repaired (28 elements, 1 transaction)` */
export function summary({
  attachments,
  fine,
  repaired,
  differ,
  failed,
  gone,
  unknown,
  rules,
  interrupted,
}: Report): string {
  const parts = [`${fine} fine`];
  const { elements, transactions } = rules;
  const by =
    transactions === 0 ? '' : ` (${many(elements, 'element')}, ${many(transactions, 'transaction')})`;
  if (repaired > 0) parts.push(`${repaired} repaired${by}`);
  if (differ > 0) parts.push(`${differ} to repair`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (gone > 0) parts.push(`${gone} without a namespace`);
  if (unknown > 0) parts.push(`${unknown} not known well enough`);
  const total = `${many(attachments.length, 'attachment')}: ${parts.join(', ')}`;
  if (interrupted) return `${total}; interrupted by ${interrupted.signal}, ${interrupted.left} not looked at`;
  return total;
}
