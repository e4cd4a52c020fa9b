/** What a run found: measured rows, ours beside theirs, with the figure to reach where there is one. */
import type { Floor } from './busy.ts';
import type { Failures } from './calls.ts';
import type { SideName } from './host.ts';
import type { Sample, Scenario, Unit } from './scenario.ts';
import { type Summary, summary } from './statistics.ts';

export interface Row {
  readonly scenario: string;
  readonly title: string;
  readonly of: string;
  readonly unit: Unit;
  /** Of the calls that succeeded; missing when none did. */
  readonly ours?: Summary;
  readonly theirs?: Summary;
  /** The same kernel requests alone. */
  readonly floor?: Summary;
  /** Medians of processor time. */
  readonly cpu?: { readonly ours?: number; readonly theirs?: number };
  /** Ours to theirs, of the medians. */
  readonly ratio?: number;
  readonly target?: Target;
  /** Calls that failed, by side; where there are any. */
  readonly failures?: Readonly<Partial<Record<SideName, Failures>>>;
}

/** Everything a run tells. */
export interface Report {
  readonly machine: string;
  /** Which plugins ours are compared with: their version, and that of Go. */
  readonly peers?: string;
  /** Rounds of each side. */
  readonly rounds: number;
  readonly rows: readonly Row[];
  /** Scenarios that were not run, or not to their end, and why. */
  readonly leftOut: readonly string[];
  /** What a start of an empty program took meanwhile, by scenario. */
  readonly floors?: readonly Floor[];
  /** Scenarios so far. */
  readonly done?: number;
}

export interface Target {
  readonly limit: number;
  /** Of what: our value, or its ratio to theirs. */
  readonly kind: 'ratio' | 'value';
  /** True for rates: more is better. */
  readonly atLeast: boolean;
  readonly reached: boolean;
}

/** Whether a figure is reached. */
export function target(kind: Target['kind'], value: number, limit: number, atLeast = false): Target {
  return { limit, kind, atLeast, reached: atLeast ? value >= limit : value <= limit };
}

type BySide<T> = Readonly<Record<SideName, T>>;
type FailuresBySide = Readonly<Partial<Record<SideName, ReadonlyMap<string, Failures>>>>;

/** The rows of one scenario from the samples of all its rounds, and the failures of those that gave none. */
export function rowsOf(
  scenario: Pick<Scenario, 'name' | 'title' | 'targets' | 'limits'>,
  samples: BySide<readonly Sample[]>,
  failures: FailuresBySide = {},
): Row[] {
  const units = new Map<string, Unit>();
  for (const { of, unit } of [...samples.ours, ...samples.theirs]) if (!units.has(of)) units.set(of, unit);
  for (const side of ['ours', 'theirs'] as const) {
    for (const of of failures[side]?.keys() ?? []) {
      if (!units.has(of)) units.set(of, of.endsWith(' rate') ? '/s' : 'ms');
    }
  }
  return [...units].map(([of, unit]) => {
    const pick = (side: SideName) => samples[side].filter((sample) => sample.of === of);
    const over = (side: SideName) => {
      const values = pick(side).map(({ value }) => value);
      return values.length > 0 ? summary(values) : undefined;
    };
    const [ours, theirs, floor] = [over('ours'), over('theirs'), over('floor')];
    const ratio = ours && theirs && theirs.median > 0 ? ours.median / theirs.median : undefined;
    const aim = targetOf(scenario, of, unit, ours, theirs, ratio);
    return {
      scenario: scenario.name,
      title: scenario.title,
      of,
      unit,
      ...(ours && { ours }),
      ...(theirs && { theirs }),
      ...cpuOf(pick('ours'), pick('theirs')),
      ...(ratio !== undefined && { ratio }),
      ...failuresOf(of, failures),
      ...(floor && { floor }),
      ...(aim && { target: aim }),
    };
  });
}

/** What has no value because its calls failed is not reached; what has nothing to be compared with has no target. */
function targetOf(
  { targets, limits }: Pick<Scenario, 'targets' | 'limits'>,
  of: string,
  unit: Unit,
  ours: Summary | undefined,
  theirs: Summary | undefined,
  ratio: number | undefined,
): Target | undefined {
  const [limit, most] = [targets?.[of], limits?.[of]];
  if (limit !== undefined && ratio !== undefined) return target('ratio', ratio, limit, unit === '/s');
  if (limit !== undefined && theirs && !ours) {
    return { limit, kind: 'ratio', atLeast: unit === '/s', reached: false };
  }
  if (most === undefined) return undefined;
  if (!ours) return { limit: most, kind: 'value', atLeast: false, reached: false };
  return target('value', unit === '' ? ours.most : ours.median, most);
}

function cpuOf(ours: readonly Sample[], theirs: readonly Sample[]): Pick<Row, 'cpu'> {
  const median = (samples: readonly Sample[]) => {
    const values = samples.flatMap(({ cpu }) => (cpu === undefined ? [] : [cpu]));
    return values.length > 0 ? summary(values).median : undefined;
  };
  const [a, b] = [median(ours), median(theirs)];
  if (a === undefined && b === undefined) return {};
  return { cpu: { ...(a !== undefined && { ours: a }), ...(b !== undefined && { theirs: b }) } };
}

function failuresOf(of: string, failures: FailuresBySide): Pick<Row, 'failures'> {
  const [a, b] = [failures.ours?.get(of), failures.theirs?.get(of)];
  return a || b ? { failures: { ...(a && { ours: a }), ...(b && { theirs: b }) } } : {};
}
