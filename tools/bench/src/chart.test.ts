import { expect, test } from 'vitest';
import { charted, svgChart } from './chart.ts';
import { rowsOf } from './report.ts';
import type { Sample } from './scenario.ts';

function rows(title: string, of: string, ours: number, theirs: number, unit: Sample['unit'] = 'ms') {
  const sample = (value: number): Sample[] => [{ of, unit, value }];
  return rowsOf({ name: title, title }, { ours: sample(ours), theirs: sample(theirs), floor: [] });
}

/** Left end and width of the bars. */
function bars(svg: string): { kind: string; x: number; width: number }[] {
  return [...svg.matchAll(/<rect class="(\w+)" rx="2" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)].map(
    (found) => ({
      kind: found[1] ?? '',
      x: Number(found[2]),
      width: Number(found[3]),
    }),
  );
}

test('faster goes to the right and slower to the left, as far for half as for double', () => {
  const svg = svgChart([...rows('a', 'ADD', 5, 10), ...rows('b', 'ADD', 10, 5)], 'machine');
  const [fast, slow] = bars(svg);
  expect([fast?.kind, slow?.kind]).toEqual(['faster', 'slower']);
  expect(fast?.width).toBeCloseTo(slow?.width ?? 0, 0);
  expect((slow?.x ?? 0) + (slow?.width ?? 0)).toBeCloseTo(fast?.x ?? 0, 0);
});

test('of a rate, more is faster', () => {
  expect(bars(svgChart(rows('a', 'ADD rate', 40, 10, '/s'), 'machine'))[0]?.kind).toBe('faster');
});

test('bars stay between their columns, from a hundredth to equal', () => {
  const all = [0.01, 0.3, 1, 3].flatMap((ratio, at) => rows(`scenario ${at}`, 'ADD', ratio * 100, 100));
  for (const { x, width } of bars(svgChart(all, 'machine'))) {
    expect(x).toBeGreaterThanOrEqual(480);
    expect(x + width).toBeLessThanOrEqual(800);
  }
});

test('it names the machine, has colours for dark pages, and escapes what it is told', () => {
  const svg = svgChart(rows('a < b & c', 'ADD', 1, 2), 'AMD EPYC, 2 cores');
  expect(svg).toContain('AMD EPYC, 2 cores');
  expect(svg).toContain('prefers-color-scheme: dark');
  expect(svg).toContain('a &lt; b &amp; c');
});

test('counts, memory and each plugin of a chain are for the table', () => {
  const all = [
    ...rows('a', 'ADD', 1, 2),
    ...rows('a', 'ADD portmap', 1, 2),
    ...rows('a', 'peak memory', 1, 2, 'MB'),
  ];
  expect(charted(all).map(({ of }) => of)).toEqual(['ADD']);
});

test('a side that cannot do it gets no bar, and it says who and how often', () => {
  const sample: Sample[] = [{ of: 'DEL', unit: 'ms', value: 6 }];
  const failed = new Map([['DEL', { count: 20, made: 20, mended: 20, why: 'no' }]]);
  const all = rowsOf({ name: 'a', title: 'a' }, { ours: sample, theirs: [], floor: [] }, { theirs: failed });
  const svg = svgChart([...all, ...rows('b', 'ADD', 5, 10)], 'machine');
  expect(bars(svg)).toHaveLength(1);
  expect(svg).toContain('>Go failed 20 of 20<');
  expect(svg).toContain('>6.00 to – ms<');
  expect(svg).toContain('* Calls failed: see the table.');
});

test('it names the version of what ours are compared with', () => {
  const svg = svgChart(rows('a', 'ADD', 1, 2), 'AMD EPYC', 'Go plugins 1.9.1 (go1.26.5)');
  expect(svg).toContain('>Go plugins 1.9.1 (go1.26.5); AMD EPYC<');
});
