/** Tables for a terminal and for Markdown. */
import type { Report, Row, Target } from './report.ts';
import type { Summary } from './statistics.ts';

/** Three significant digits, thousands with commas. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function targetText(target: Target | undefined): string {
  if (!target) return '';
  const sign = target.atLeast ? '≥' : '≤';
  return `${sign} ${target.limit} ${target.reached ? 'reached' : 'MISSED'}`;
}

export const head = ['what', 'ours', 'p95', 'Go', 'p95', 'floor', 'CPU', 'ratio', 'to reach'];

/** A row's cells, after its title. */
export function cells(row: Row): string[] {
  const { of, unit, ours, theirs, floor, cpu, ratio, target } = row;
  // A single value has no spread.
  const spread = (of: Summary | undefined) => (of && of.count > 1 ? figure(of.p95) : '');
  const value = unit === '' ? (of: number) => String(Math.round(of)) : figure;
  return [
    unit === '' ? of : `${of} (${unit})`,
    value(ours.median),
    spread(ours),
    theirs ? value(theirs.median) : '',
    spread(theirs),
    floor ? figure(floor.median) : '',
    cpu?.theirs ? figure(cpu.ours / cpu.theirs) : '',
    ratio === undefined ? '' : figure(ratio),
    targetText(target),
  ];
}

/** Sentences below a table. */
export function notes({ rows, leftOut, rounds }: Omit<Report, 'machine'>): string[] {
  const repeated = rows.flatMap(({ title, of, theirs, ours, repeated }) =>
    Object.entries(repeated ?? {}).map(([side, count]) => {
      const [whose, all] = side === 'ours' ? ['of ours', ours.count] : ["of Go's", theirs?.count];
      return `${title}: ${count} of ${all} ${of} ${whose} failed, and succeeded when called again.`;
    }),
  );
  return [
    `Medians and 95th percentiles of ${rounds} rounds of each side in alternating order.`,
    ...fewer(rows, rounds),
    ...repeated,
    ...leftOut.map((one) => `Left out: ${one}.`),
  ];
}

/** Where a round takes so long that fewer were made. */
function fewer(rows: readonly Row[], rounds: number): string[] {
  const timed = rows.filter(({ ours }) => ours.count > 1 && ours.count < rounds);
  const counts = new Map(timed.map(({ title, ours }) => [title, ours.count]));
  return [...counts].map(([title, count]) => `${title}: ${count} rounds.`);
}

/** For a terminal: a title line per scenario, then its rows. */
export function textTable(rows: readonly Row[]): string {
  const body = rows.map((row) => ({ title: row.title, cells: cells(row) }));
  const widths = head.map((text, at) =>
    Math.max(text.length, ...body.map((row) => row.cells[at]?.length ?? 0)),
  );
  const line = (texts: readonly string[]) =>
    texts.map((text, at) =>
      at === 0 || at === 8 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0),
    );
  const out = [`  ${line(head).join('  ')}`.trimEnd()];
  let title = '';
  for (const row of body) {
    if (row.title !== title) out.push(row.title);
    title = row.title;
    out.push(`  ${line(row.cells).join('  ')}`.trimEnd());
  }
  return out.join('\n');
}

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  texts = 1,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, at) => (at < texts ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
