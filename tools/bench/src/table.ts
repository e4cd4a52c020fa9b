/** Tables for a terminal and for Markdown. */
import type { Row, Target } from './report.ts';

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

const head = ['scenario', 'what', 'ours', 'p95', 'Go', 'p95', 'ratio', 'to reach'];

function cells(row: Row): string[] {
  const { of, unit, ours, theirs, ratio, target } = row;
  return [
    `${of} (${unit})`,
    figure(ours.median),
    figure(ours.p95),
    theirs ? figure(theirs.median) : '-',
    theirs ? figure(theirs.p95) : '-',
    ratio === undefined ? '-' : figure(ratio),
    targetText(target),
  ];
}

/** Sentences below a table. */
export function notes(rows: readonly Row[]): string[] {
  return rows.flatMap(({ title, of, ours, repeated }) =>
    Object.entries(repeated ?? {}).map(([side, count]) => {
      const whose = side === 'ours' ? 'of ours' : "of Go's";
      return `${title}: ${count} of ${ours.count} ${of} ${whose} failed and succeeded when called again`;
    }),
  );
}

/** For a terminal: a title line per scenario, then its rows. */
export function textTable(rows: readonly Row[]): string {
  const body = rows.map((row) => ({ title: row.title, cells: cells(row) }));
  const heads = head.slice(1);
  const widths = heads.map((text, at) =>
    Math.max(text.length, ...body.map((row) => row.cells[at]?.length ?? 0)),
  );
  const line = (texts: readonly string[]) =>
    texts.map((text, at) =>
      at === 0 || at === 6 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0),
    );
  const out = [`  ${line(heads).join('  ')}`.trimEnd()];
  let title = '';
  for (const row of body) {
    if (row.title !== title) out.push(row.title);
    title = row.title;
    out.push(`  ${line(row.cells).join('  ')}`.trimEnd());
  }
  return out.join('\n');
}

export function markdownTable(rows: readonly Row[]): string {
  const line = (texts: readonly string[]) => `| ${texts.join(' | ')} |`;
  return [
    line(head),
    line(head.map((_, at) => (at < 2 || at === 7 ? '---' : '--:'))),
    ...rows.map((row) => line([row.title, ...cells(row)])),
  ].join('\n');
}
