/** What a run has found: for a terminal, as JSON, and as the part of docs/cluster.md between its marks. */
import { markdownTable } from '@cni-ts/bench/table';
import type { Violation } from './checker.ts';
import type { Figures } from './figures.ts';

export interface RunReport {
  readonly seed: number;
  readonly nodes: number;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Of the whole run. */
  readonly minutes: number;
  readonly counts: {
    readonly adds: number;
    readonly refused: number;
    readonly killed: number;
    readonly dels: number;
    readonly checks: number;
    readonly collections: number;
    readonly looks: number;
  };
  /** What befell it, and how many times. */
  readonly faults: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  readonly complaints: readonly string[];
  /** Why ADDs were refused, and how many. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly figures?: Figures;
}

const marks = ['<!-- what the rig has found -->', '<!-- end of what the rig has found -->'] as const;

/** The reports that are published, with this one: a run that has measured begins anew, another is added to those before. */
export function together(before: readonly RunReport[], report: RunReport): RunReport[] {
  if (report.figures) return [report];
  return [...before.filter(({ seed }) => seed !== report.seed), report];
}

/** The page with the reports' tables in place of what is between the marks. Throws where they are not. */
export function published(page: string, reports: readonly RunReport[]): string {
  const [from, to] = marks.map((mark) => page.indexOf(mark));
  if (from === undefined || to === undefined || from < 0 || to < from) {
    throw new Error(`the page lacks its marks ${marks.join(' and ')}`);
  }
  return `${page.slice(0, from)}${marks[0]}\n\n${markdown(reports)}\n\n${page.slice(to)}`;
}

function markdown(reports: readonly RunReport[]): string {
  const [first] = reports;
  if (!first) throw new Error('nothing to publish');
  const { machine, versions, figures } = first;
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const seeds = reports.map(({ seed }) => `seed ${seed}`);
  const row = (what: string, of: (report: RunReport) => number | string) => [
    what,
    ...reports.map((report) => String(of(report))),
  ];
  const faults = [...new Set(reports.flatMap((report) => Object.keys(report.faults)))];
  return [
    `${machine}; ${told.join(', ')}. Written by \`npm run cluster-rig -- --publish\`.`,
    ...(figures ? [figuresTable(figures)] : []),
    markdownTable(
      ['in the trial', ...seeds],
      [
        row('nodes', ({ nodes }) => nodes),
        row('minutes, with what was measured before', ({ minutes }) => minutes.toFixed(0)),
        row('ADD answered', ({ counts }) => counts.adds),
        row('ADD refused, in the midst of faults or for want of addresses', ({ counts }) => counts.refused),
        row('calls killed on the way', ({ counts }) => counts.killed),
        row('DEL', ({ counts }) => counts.dels),
        row('CHECK', ({ counts }) => counts.checks),
        row('GC', ({ counts }) => counts.collections),
        row('violations of I1 to I8', ({ violations }) => violations.length),
      ],
    ),
    markdownTable(
      ['fault', ...seeds],
      faults.map((name) => row(name, (report) => report.faults[name] ?? 0)),
    ),
  ].join('\n\n');
}

const ms = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;

function figuresTable({
  atHand,
  hostLocal,
  claims,
  crowd,
  hostLocalCrowd,
  thousand,
  sharedObject,
  agentMemory,
}: Figures): string {
  const ratio = atHand.median / hostLocal.median;
  const perHundredThousand = Math.round((crowd.transactions / crowd.adds) * 100_000);
  const reached = (yes: boolean) => (yes ? 'yes' : '**no**');
  return markdownTable(
    ['what', 'goal', 'measured', 'reached'],
    [
      [
        `ADD with an address at hand, alone on a node (${atHand.count})`,
        '≤ 1.1 × host-local',
        `median ${ms(atHand.median)}, p99 ${ms(atHand.p99)}; host-local ${ms(hostLocal.median)}, ${ms(hostLocal.p99)}: ${ratio.toFixed(2)} ×`,
        reached(ratio <= 1.1),
      ],
      [
        `ADD for which a block is claimed (${claims.count})`,
        'p99 ≤ 25 ms',
        `median ${ms(claims.median)}, p99 ${ms(claims.p99)}`,
        reached(claims.p99 <= 25),
      ],
      [
        `${crowd.adds} ADDs on ${crowd.nodes} nodes at once`,
        '≥ 1,000 a second',
        `${crowd.perSecond.toFixed(0)} a second (host-local: ${hostLocalCrowd.perSecond.toFixed(0)}); ${crowd.again} told to try again`,
        reached(crowd.perSecond >= 1000),
      ],
      [
        'etcd transactions for 100,000 ADDs',
        '≤ 2,000',
        `${perHundredThousand} (${crowd.transactions} for ${crowd.adds}; all requests: ${crowd.requests})`,
        reached(perHundredThousand <= 2000),
      ],
      ...(thousand === undefined
        ? []
        : [['1,000 attachments on 10 nodes, addresses alone', '', `${thousand.toFixed(1)} s`, '']]),
      [
        `one shared object, ${sharedObject.writers} writers (whereabouts’ way)`,
        '',
        `${sharedObject.perSecond.toFixed(0)} a second, ${sharedObject.tries.toFixed(1)} tries each, median ${ms(sharedObject.median)}, p99 ${ms(sharedObject.p99)}`,
        '',
      ],
      ['memory of an agent', '', `${(agentMemory / 2 ** 20).toFixed(0)} MiB`, ''],
    ],
    4,
  );
}

/** For a terminal. */
export function text(report: RunReport): string {
  const { counts, faults, violations, complaints, refusals, figures } = report;
  const lines = [
    ...(figures ? [figuresTable(figures), ''] : []),
    `${counts.adds} ADDs answered, ${counts.refused} refused, ${counts.killed} calls killed; ${counts.dels} DEL, ${counts.checks} CHECK, ${counts.collections} GC; ${counts.looks} looks`,
    ...Object.entries(refusals).map(([what, times]) => `  refused ${times} times: ${what}`),
    `${Object.values(faults).reduce((sum, times) => sum + times, 0)} faults of ${Object.keys(faults).length} kinds`,
    ...violations
      .slice(0, 50)
      .map(({ invariant, at, what }) => `VIOLATED ${invariant} at ${at.toFixed(3)}: ${what}`),
    ...(violations.length > 50 ? [`and ${violations.length - 50} more`] : []),
    ...complaints.map((what) => `WRONG: ${what}`),
  ];
  return lines.join('\n');
}
