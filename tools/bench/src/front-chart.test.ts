import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { frontChart, timesText } from './front-chart.ts';
import type { Report } from './report.ts';

const root = resolve(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const report: Report = JSON.parse(read('docs/bench.json'));

const bars = (svg: string) =>
  [...svg.matchAll(/<rect class="(\w+)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => ({
    kind,
    width: Number(width),
  }));

test('docs/speed.svg is what docs/bench.json has: `node tools/bench/src/front.ts` writes it', () => {
  expect(read('docs/speed.svg')).toBe(frontChart(report));
});

test('there are five bars, as long as ours are faster, with machine and versions', () => {
  const svg = frontChart(report);
  const drawn = bars(svg);
  expect(drawn).toHaveLength(5);
  const ratioOf = (scenario: string, of: string) =>
    report.rows.find((row) => row.scenario === scenario && row.of === of)?.ratio ?? Number.NaN;
  const [, bridge, , del, rate] = drawn;
  const known = { bridge: 1 / ratioOf('bridge', 'ADD'), del: 1 / ratioOf('chain', 'DEL') };
  expect((del?.width ?? 0) / (bridge?.width ?? 1)).toBeCloseTo(known.del / known.bridge, 1);
  expect((rate?.width ?? 0) / (bridge?.width ?? 1)).toBeCloseTo(
    ratioOf('parallel-64', 'ADD rate') / known.bridge,
    1,
  );
  expect(svg).toContain(report.machine);
  expect(svg).toMatch(/Go plugins \d+\.\d+\S* \(go\d+\.\d+/);
});

test('a figure that was not measured has no bar, and is said to be missing', () => {
  const rows = report.rows.filter(({ scenario }) => scenario !== 'chain');
  const svg = frontChart({ ...report, rows });
  expect(bars(svg)).toHaveLength(3);
  expect(svg.match(/not measured/g)).toHaveLength(2);
});

test('slower than Go is drawn in another colour, and left of the line', () => {
  const rows = report.rows.map((row) => (row.scenario === 'version' ? { ...row, ratio: 2 } : row));
  const [first] = bars(frontChart({ ...report, rows }));
  expect(first?.kind).toBe('slower');
});

test('every figure of the front page is one that was measured', () => {
  const page = read('README.md');
  const measured = report.rows.flatMap(({ ratio, unit }) =>
    ratio === undefined ? [] : [timesText(unit === '/s' ? ratio : 1 / ratio)],
  );
  const said = [...page.matchAll(/([\d.]+) times as fast/g)].map(([, times = '']) => times);
  expect(said.length).toBeGreaterThan(2);
  expect(said.filter((times) => !measured.includes(times))).toEqual([]);
  expect(page).toContain(report.machine.split(',')[0]);
  expect(page).toContain(/go\d+\.\d+[\w.]*/.exec(report.peers ?? '')?.[0].replace('go', 'Go '));
});
