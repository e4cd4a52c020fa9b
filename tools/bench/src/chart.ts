/** The chart: for each kind of work how many times as fast as Go's ours are, or as slow, on a scale on which half and
 *  double are equally far from the middle; the medians beside it. Plain SVG with colours for light and dark pages. */

import { figure } from './figure.ts';
import type { Row } from './report.ts';
import { failedText } from './table.ts';

const width = 980;
const left = 480;
const right = 180;
const line = 19;
const gap = 9;
const head = 88;

/** Text, lines and bars on light and on dark pages, as every chart has them. */
export const themed = `
      text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
      .head { font-size: 16px; font-weight: 600 } .title { font-weight: 600 }
      .tick, .label, .value, .foot { fill: #59636e } .unable { font-style: italic }
      .grid { stroke: #d1d9e0 } .one { stroke: #59636e; stroke-width: 1.5 }
      .faster { fill: #1f883d } .slower { fill: #cf222e }
      @media (prefers-color-scheme: dark) {
        text { fill: #f0f6fc } .tick, .label, .value, .foot { fill: #9198a1 }
        .grid { stroke: #3d444d } .one { stroke: #9198a1 }
        .faster { fill: #3fb950 } .slower { fill: #f85149 }
      }
    `;

/** The rows that tell something to a reader who wants one look: times and rates that have a counterpart, or would have
 *  one if a side had not failed. */
export function charted(rows: readonly Row[]): Row[] {
  const kinds = ['VERSION', 'ADD', 'CHECK', 'DEL', 'ADD rate'];
  return rows.filter(({ of, ratio, failures }) => kinds.includes(of) && (ratio !== undefined || failures));
}

/** What stands in place of a bar: who failed, and how often. */
function unable({ ours, theirs, failures }: Row): string {
  const said = [
    ...(!ours && failures?.ours ? [`ours ${failedText(failures.ours)}`] : []),
    ...(!theirs && failures?.theirs ? [`Go ${failedText(failures.theirs)}`] : []),
  ];
  return said.join(', ') || 'nothing to compare with';
}

/** How many times as fast: above 1 ours are faster. */
function speed({ ratio = 1, unit }: Row): number {
  return unit === '/s' ? ratio : 1 / ratio;
}

/** `peers`: which plugins ours are compared with. */
export function svgChart(rows: readonly Row[], machine: string, peers = ''): string {
  const shown = charted(rows);
  const groups = Map.groupBy(shown, ({ title }) => title);
  const extent = Math.max(2, ...shown.map((row) => Math.max(speed(row), 1 / speed(row))));
  // To the next power of two, so that the outermost tick is a round number.
  const octaves = Math.ceil(Math.log2(extent));
  // Slower than Go is rarely by more than a few times: the left side needs no more room than it uses.
  const slowest = Math.max(1, ...shown.map((row) => 1 / speed(row)));
  const slower = Math.max(1, Math.ceil(Math.log2(slowest)));
  const plot = width - left - right;
  const x = (value: number) => left + (plot * (Math.log2(value) + slower)) / (slower + octaves);
  const height = head + shown.length * line + groups.size * gap + 34;

  const ticks = ticksOf(slower, octaves).map(
    (value) =>
      `<line class="grid" x1="${n(x(value))}" x2="${n(x(value))}" y1="${head - 8}" y2="${height - 30}"/>` +
      text(x(value), head - 14, value >= 1 ? `${value}×` : `1/${1 / value}×`, 'tick', 'middle'),
  );
  const body: string[] = [];
  let y = head;
  for (const [title, of] of groups) {
    y += gap;
    body.push(text(16, y + 11, title, 'title'));
    for (const row of of) {
      const faster = speed(row);
      const [from, to] = [x(Math.min(1, faster)), x(Math.max(1, faster))];
      const size = `x="${n(from)}" y="${y}" width="${n(Math.max(1, to - from))}" height="${line - 5}"`;
      const { ours, theirs, unit, failures, ratio } = row;
      body.push(text(left - 12, y + 11, row.of + (failures ? ' *' : ''), 'label', 'end'));
      body.push(
        ratio === undefined
          ? text(x(1) + 6, y + 11, unable(row), 'unable')
          : `<rect class="${faster >= 1 ? 'faster' : 'slower'}" rx="2" ${size}/>`,
      );
      const median = (of: typeof ours) => (of ? figure(of.median) : '–');
      body.push(text(width - right + 12, y + 11, `${median(ours)} to ${median(theirs)} ${unit}`, 'value'));
      y += line;
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>Speed beside the Go plugins</title>`,
    `<style>${themed}</style>`,
    text(16, 28, 'How many times as fast as the Go plugins', 'head'),
    text(
      16,
      48,
      'Ratio of the medians, doubling scale; at the right the medians, ours to Go.' +
        (shown.some(({ failures }) => failures) ? ' * Calls failed: see the table.' : ''),
      'foot',
    ),
    ...ticks,
    `<line class="one" x1="${n(x(1))}" x2="${n(x(1))}" y1="${head - 8}" y2="${height - 30}"/>`,
    ...body,
    text(16, height - 10, [peers, machine].filter(Boolean).join('; '), 'foot'),
    '</svg>\n',
  ].join('\n');
}

/** Powers of two, every other one where there are many. */
function ticksOf(slower: number, octaves: number): number[] {
  const step = slower + octaves > 6 ? 2 : 1;
  const exponents: number[] = [];
  for (let at = -Math.floor(slower / step) * step; at <= octaves; at += step) exponents.push(at);
  return exponents.map((exponent) => 2 ** exponent);
}

export function text(x: number, y: number, content: string, kind: string, anchor = 'start'): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text class="${kind}" x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${safe}</text>`;
}

function n(value: number): string {
  return value.toFixed(1);
}
