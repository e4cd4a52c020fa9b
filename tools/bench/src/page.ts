/** docs/bench.md: the figures to reach first, then everything measured. */
import type { Report, Row } from './report.ts';
import { cells, figure, head, markdownTable, notes } from './table.ts';

export function page(report: Report): string {
  const { rows, machine } = report;
  const aims = rows.filter(({ target }) => target);
  const groups = Map.groupBy(rows, ({ title }) => title);
  return `${[
    '# Speed beside the Go plugins',
    `${machine}. Written by \`npm run bench -- --publish\`.`,
    '![How many times as fast as the Go plugins](bench.svg)',
    '## Figures to reach',
    markdownTable(['work', 'what', 'to reach', 'measured', 'reached'], aims.map(aim), 2),
    '"of Go" is the ratio of the medians, ours to those of the newest Go plugins that Debian packages.',
    '## All figures',
    [
      'Before each scenario the programs of both sides are read in anew, from front to end.',
      '"floor" is the same kernel requests alone, from one warm process; for VERSION, the start of an empty program.',
      '"CPU" is the ratio of processor time, "ratio" that of wall time, ours to Go, each of the medians.',
    ].join('\n'),
    ...[...groups].flatMap(([title, of]) => [`### ${title}`, markdownTable(head, of.map(cells))]),
    ['Notes:', '', ...notes(report).map((note) => `- ${note}`)].join('\n'),
  ].join('\n\n')}\n`;
}

function aim({ title, of, unit, ours, ratio, target }: Row): string[] {
  const sign = target?.atLeast ? '≥' : '≤';
  const relative = target?.kind === 'ratio';
  const measure = relative ? ' of Go' : ` ${unit}`.trimEnd();
  const value = relative ? (ratio ?? Number.NaN) : unit === '' ? ours.most : ours.median;
  return [
    title,
    of,
    `${sign} ${target?.limit}${measure}`,
    `${figure(value)}${measure}`,
    target?.reached ? 'yes' : '**no**',
  ];
}
