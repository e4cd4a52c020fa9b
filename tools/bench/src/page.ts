/** docs/bench.md: the figures to reach first, then everything measured. */

import { busy } from './busy.ts';
import { figure } from './figure.ts';
import type { Report, Row } from './report.ts';
import { cells, head, markdownTable, notes } from './table.ts';

export function page(report: Report): string {
  const { rows, machine, peers, floors = [] } = report;
  const restless = new Set(busy(floors).map(({ title }) => title));
  const aims = rows.filter(({ target }) => target);
  const groups = Map.groupBy(rows, ({ title }) => title);
  return `${[
    '# Speed beside the Go plugins',
    `${peers ? `Beside ${peers}.\n` : ''}${machine}. Written by \`npm run bench -- --publish\`.`,
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
    ...[...groups].flatMap(([title, of]) => [
      `### ${title}`,
      ...(restless.has(title) ? ['**On a busy machine**: see the notes.'] : []),
      markdownTable(head, of.map(cells)),
    ]),
    ['Notes:', '', ...notes(report).map((note) => `- ${note}`)].join('\n'),
  ].join('\n\n')}\n`;
}

function aim({ title, of, unit, ours, ratio, target }: Row): string[] {
  const sign = target?.atLeast ? '≥' : '≤';
  const relative = target?.kind === 'ratio';
  const measure = relative ? ' of Go' : ` ${unit}`.trimEnd();
  const own = unit === '' ? ours?.most : ours?.median;
  const value = relative ? ratio : own;
  return [
    title,
    of,
    `${sign} ${target?.limit}${measure}`,
    value === undefined ? 'failed' : `${figure(value)}${measure}`,
    target?.reached ? 'yes' : '**no**',
  ];
}
