/** The chart of the front page: five bars that say how many times as fast as Go's our plugins are, from what docs/bench.json
 *  has, with the medians, the machine and the version of the Go plugins. For light and dark pages. */
import { text, themed } from './chart.ts';
import { figure } from './figure.ts';
import type { Report, Row } from './report.ts';

/** What a reader who has one look is to see, by scenario and figure; a shorter name than the table's, where that is long. */
const chosen = [
  ['version', 'VERSION', 'one call that does nothing', 'VERSION'],
  ['bridge', 'ADD', 'bridge + host-local', 'ADD'],
  ['chain', 'ADD', 'bridge + four chained plugins', 'ADD'],
  ['chain', 'DEL', 'bridge + four chained plugins', 'DEL'],
  ['parallel-64', 'ADD rate', 'that chain, 64 containers at once', 'ADDs per second'],
] as const;

const width = 760;
const left = 300;
const right = 150;
const step = 44;
const head = 62;
const height = head + chosen.length * step + 28;

export function frontChart({ rows, machine, peers = 'the newest Go plugins of Debian' }: Report): string {
  const shown = chosen.map(([scenario, of, title, about]) => {
    const row = rows.find((one) => one.scenario === scenario && one.of === of);
    return { title, about, row, times: row?.ratio === undefined ? undefined : timesAsFast(row, row.ratio) };
  });
  const most = Math.max(2, ...shown.map(({ times }) => times ?? 0));
  const x = (times: number) => left + (times / most) * (width - left - right);
  const body = shown.flatMap(({ title, about, row, times }, i) => {
    const y = head + i * step;
    const name = [
      text(left - 12, y + 13, title, 'title', 'end'),
      text(left - 12, y + 29, about, 'label', 'end'),
    ];
    if (times === undefined || !row) return [...name, text(left + 8, y + 20, 'not measured', 'label')];
    const bar = `<rect class="${times >= 1 ? 'faster' : 'slower'}" rx="3" x="${left}" y="${y + 2}" width="${(x(times) - left).toFixed(1)}" height="28"/>`;
    const median = (one: Row['ours']) => figure(one?.median ?? 0);
    const unit = row.unit === '/s' ? '/s' : ` ${row.unit}`;
    return [
      ...name,
      bar,
      text(x(times) + 8, y + 15, `${timesText(times)}×`, 'times'),
      text(x(times) + 8, y + 29, `${median(row.ours)}${unit}, Go ${median(row.theirs)}${unit}`, 'small'),
    ];
  });
  const bottom = head + chosen.length * step - 4;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>How many times as fast as the Go plugins</title>',
    `<style>${themed}
      .times { font-size: 15px; font-weight: 600 } .small { font-size: 11px; fill: #59636e }
      @media (prefers-color-scheme: dark) { .small { fill: #9198a1 } }
    </style>`,
    text(16, 26, 'How many times as fast as the Go plugins', 'head'),
    text(16, 45, 'By the medians beside the bars. The line is the speed of the Go plugins.', 'foot'),
    ...body,
    `<line class="one" x1="${x(1).toFixed(1)}" x2="${x(1).toFixed(1)}" y1="${head - 4}" y2="${bottom}"/>`,
    text(16, height - 10, `${peers}; ${machine}`, 'small'),
    '</svg>\n',
  ].join('\n');
}

/** Above 1 ours are faster. */
function timesAsFast({ unit }: Row, ratio: number): number {
  return unit === '/s' ? ratio : 1 / ratio;
}

/** `2.4`, `14`. */
export function timesText(times: number): string {
  return times < 10 ? times.toFixed(1) : times.toFixed(0);
}
