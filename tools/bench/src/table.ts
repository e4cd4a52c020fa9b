/** Tables for a terminal and for Markdown. */
import { busy, busyNotes, type Floor } from './busy.ts';
import type { Failures } from './calls.ts';
import { figure } from './figure.ts';
import type { Report, Row, Target } from './report.ts';
import type { Summary } from './statistics.ts';

export function targetText(target: Target | undefined): string {
  if (!target) return '';
  const sign = target.atLeast ? '≥' : '≤';
  return `${sign} ${target.limit} ${target.reached ? 'reached' : 'MISSED'}`;
}

export const head = ['what', 'ours', 'p95', 'Go', 'p95', 'floor', 'CPU', 'ratio', 'to reach'];

/** A row's cells, after its title. */
export function cells(row: Row): string[] {
  const { of, unit, ours, theirs, floor, cpu, ratio, target, failures } = row;
  // A single value has no spread.
  const spread = (of: Summary | undefined) => (of && of.count > 1 ? figure(of.p95) : '');
  const value = unit === '' ? (of: number) => String(Math.round(of)) : figure;
  const median = (of: Summary | undefined, failed: Failures | undefined) =>
    of ? value(of.median) : failed ? failedText(failed) : '';
  return [
    unit === '' ? of : `${of} (${unit})`,
    median(ours, failures?.ours),
    spread(ours),
    median(theirs, failures?.theirs),
    spread(theirs),
    floor ? figure(floor.median) : '',
    cpu?.ours && cpu.theirs ? figure(cpu.ours / cpu.theirs) : '',
    ratio === undefined ? '' : figure(ratio),
    targetText(target),
  ];
}

/** In place of a figure, where there is none because calls failed. */
export function failedText({ count, made }: Failures): string {
  return `failed ${count} of ${made}`;
}

/** Sentences below a table. */
export function notes(report: Pick<Report, 'rows' | 'leftOut' | 'rounds' | 'floors'>): string[] {
  const { rows, leftOut, rounds, floors = [] } = report;
  const failed = rows.flatMap(({ title, of, failures }) =>
    (['ours', 'theirs'] as const).flatMap((side) => {
      const known = failures?.[side];
      return known ? [failureNote(title, of, side, known)] : [];
    }),
  );
  return [
    `Medians and 95th percentiles of ${rounds} rounds of each side in alternating order.`,
    ...fewer(rows, rounds),
    ...failed,
    ...busyNotes(floors),
    ...leftOut.map((one) => `Left out: ${one}.`),
  ];
}

/** A failed call has no time; what the others took is told all the same. */
function failureNote(title: string, of: string, side: 'ours' | 'theirs', failed: Failures): string {
  const { count, made, mended, why } = failed;
  const whose = side === 'ours' ? 'of ours' : "of Go's";
  const again =
    mended === 0 ? '' : `, and ${mended === count ? '' : `${mended} `}succeeded when called again`;
  const line = why.replace(/\s+/g, ' ').trim();
  const said = line.length > 300 ? `${line.slice(0, 300)}…` : line;
  return `${title}: ${count} of ${made} ${of} ${whose} failed${again}. The first said: ${said}`;
}

/** Where a round takes so long that fewer were made. */
function fewer(rows: readonly Row[], rounds: number): string[] {
  const counts = new Map<string, number>();
  for (const { title, ours, failures } of rows) {
    if (ours && !failures && ours.count > 1 && ours.count < rounds) counts.set(title, ours.count);
  }
  return [...counts].map(([title, count]) => `${title}: ${count} rounds.`);
}

/** For a terminal: a title line per scenario, then its rows. */
export function textTable(rows: readonly Row[], floors: readonly Floor[] = []): string {
  const restless = new Set(busy(floors).map(({ title }) => title));
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
    if (row.title !== title) out.push(row.title + (restless.has(row.title) ? ' (on a busy machine)' : ''));
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
