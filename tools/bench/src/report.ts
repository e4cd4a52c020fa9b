/** What a run found: measured rows, ours beside theirs, with the figure to reach where there is one. */
import type { SideName } from './host.ts';
import type { Sample, Scenario, Unit } from './scenario.ts';
import { type Summary, summary } from './statistics.ts';

export interface Row {
  readonly scenario: string;
  readonly title: string;
  readonly of: string;
  readonly unit: Unit;
  readonly ours: Summary;
  readonly theirs?: Summary;
  /** The same kernel requests alone. */
  readonly floor?: Summary;
  /** Medians of processor time. */
  readonly cpu?: { readonly ours: number; readonly theirs?: number };
  /** Ours to theirs, of the medians. */
  readonly ratio?: number;
  readonly target?: Target;
  /** How many of how many calls succeeded only when they were repeated, by side; where there are any. */
  readonly repeated?: Readonly<Partial<Record<SideName, number>>>;
}

/** Everything a run tells. */
export interface Report {
  readonly machine: string;
  /** Rounds of each side. */
  readonly rounds: number;
  readonly rows: readonly Row[];
  /** Scenarios that were not run, and why. */
  readonly leftOut: readonly string[];
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

/** The rows of one scenario from the samples of all its rounds. */
export function rowsOf(
  scenario: Pick<Scenario, 'name' | 'title' | 'targets' | 'limits'>,
  samples: Readonly<Record<SideName, readonly Sample[]>>,
): Row[] {
  const first = new Map(samples.ours.map((sample) => [sample.of, sample]));
  return [...first.values()].map(({ of, unit }) => {
    const pick = (side: SideName) => samples[side].filter((sample) => sample.of === of);
    const ours = summary(pick('ours').map(({ value }) => value));
    const others = pick('theirs');
    const theirs = others.length > 0 ? summary(others.map(({ value }) => value)) : undefined;
    const ratio = theirs && theirs.median > 0 ? ours.median / theirs.median : undefined;
    const [limit, most] = [scenario.targets?.[of], scenario.limits?.[of]];
    const floors = pick('floor');
    return {
      scenario: scenario.name,
      title: scenario.title,
      of,
      unit,
      ours,
      ...(theirs && { theirs }),
      ...cpuOf(pick('ours'), others),
      ...(ratio !== undefined && { ratio }),
      ...repeatedOf(pick('ours'), others),
      ...(floors.length > 0 && { floor: summary(floors.map(({ value }) => value)) }),
      ...(most !== undefined && { target: target('value', unit === '' ? ours.most : ours.median, most) }),
      ...(ratio !== undefined &&
        limit !== undefined && { target: target('ratio', ratio, limit, unit === '/s') }),
    };
  });
}

function cpuOf(ours: readonly Sample[], theirs: readonly Sample[]): Pick<Row, 'cpu'> {
  const median = (samples: readonly Sample[]) => {
    const values = samples.flatMap(({ cpu }) => (cpu === undefined ? [] : [cpu]));
    return values.length > 0 ? summary(values).median : undefined;
  };
  const [a, b] = [median(ours), median(theirs)];
  return a === undefined ? {} : { cpu: { ours: a, ...(b !== undefined && { theirs: b }) } };
}

function repeatedOf(ours: readonly Sample[], theirs: readonly Sample[]): Pick<Row, 'repeated'> {
  const count = (samples: readonly Sample[]) => samples.filter(({ repeated }) => repeated).length;
  const [a, b] = [count(ours), count(theirs)];
  return a + b === 0 ? {} : { repeated: { ...(a > 0 && { ours: a }), ...(b > 0 && { theirs: b }) } };
}
