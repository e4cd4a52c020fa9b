import { expect, test } from 'vitest';
import { page } from './page.ts';
import { rowsOf } from './report.ts';
import type { Sample, Unit } from './scenario.ts';
import { figure, notes, textTable } from './table.ts';

function samples(of: string, unit: Unit, ...values: number[]): Sample[] {
  return values.map((value) => ({ of, unit, value }));
}

const scenario = { name: 'x', title: 'x + y', targets: { ADD: 0.5, rate: 4 }, limits: { memory: 8 } };

test('a ratio is that of the medians, ours to theirs', () => {
  const ours = samples('ADD', 'ms', 4, 5, 90);
  const theirs = samples('ADD', 'ms', 10, 9, 11);
  const [row] = rowsOf(scenario, { ours, theirs, floor: samples('ADD', 'ms', 2) });
  expect(row).toMatchObject({ of: 'ADD', ratio: 0.5, target: { limit: 0.5, kind: 'ratio', reached: true } });
  expect(row?.floor?.median).toBe(2);
});

test('a time is reached at most, a rate at least, a limit by ours alone', () => {
  const rows = rowsOf(scenario, {
    ours: [...samples('ADD', 'ms', 6), ...samples('rate', '/s', 39), ...samples('memory', 'MB', 8.1)],
    theirs: [...samples('ADD', 'ms', 10), ...samples('rate', '/s', 10), ...samples('memory', 'MB', 100)],
    floor: [],
  });
  expect(rows.map(({ target }) => target?.reached)).toEqual([false, false, false]);
  const better = rowsOf(scenario, {
    ours: [...samples('ADD', 'ms', 5), ...samples('rate', '/s', 40), ...samples('memory', 'MB', 8)],
    theirs: [...samples('ADD', 'ms', 10), ...samples('rate', '/s', 10), ...samples('memory', 'MB', 1)],
    floor: [],
  });
  expect(better.map(({ target }) => target?.reached)).toEqual([true, true, true]);
});

test('a count that may be zero at most is missed by a single failure', () => {
  const rows = rowsOf(
    { name: 'p', title: 'p', limits: { failures: 0 } },
    { ours: samples('failures', '', 0, 0, 0, 0, 1), theirs: samples('failures', '', 0), floor: [] },
  );
  expect(rows[0]?.target?.reached).toBe(false);
});

test('without the other side there are values and no ratio', () => {
  const [row] = rowsOf(scenario, { ours: samples('ADD', 'ms', 6), theirs: [], floor: [] });
  expect(row).not.toHaveProperty('ratio');
  expect(row).not.toHaveProperty('target');
  expect(textTable([row!])).toContain('ADD (ms)');
});

test('calls that had to be repeated are told by side', () => {
  const theirs = samples('DEL', 'ms', 9, 9).map((one) => ({ ...one, repeated: true }));
  const rows = rowsOf(scenario, { ours: samples('DEL', 'ms', 5, 5), theirs, floor: [] });
  expect(notes({ rows, rounds: 2, leftOut: [] }).join('\n')).toContain("x + y: 2 of 2 DEL of Go's failed");
});

test('figures have three digits that count', () => {
  expect([0.00123, 0.5, 6, 25.66, 248.4, 61234].map(figure)).toEqual([
    ...['0.00123', '0.500', '6.00', '25.7', '248', '61,234'],
  ]);
});

test('the terminal shows a title once, and what is missed', () => {
  const rows = rowsOf(scenario, {
    ours: [...samples('ADD', 'ms', 6, 6), ...samples('DEL', 'ms', 7, 7)],
    theirs: [...samples('ADD', 'ms', 10, 10), ...samples('DEL', 'ms', 70, 70)],
    floor: [],
  });
  const text = textTable(rows);
  expect(text.match(/x \+ y/g)).toHaveLength(1);
  expect(text).toMatch(/ADD \(ms\) .* 0\.600 +≤ 0\.5 MISSED/);
  expect(text).toMatch(/DEL \(ms\) .* 0\.100$/m);
});

test('the page has every figure to reach in its first table, and names machine and what was left out', () => {
  const rows = rowsOf(scenario, {
    ours: [...samples('ADD', 'ms', 4), ...samples('memory', 'MB', 6)],
    theirs: [...samples('ADD', 'ms', 10), ...samples('memory', 'MB', 2)],
    floor: [],
  });
  const text = page({ machine: 'a machine', rounds: 20, rows, leftOut: ['bridge + z (not built: ours: z)'] });
  expect(text).toContain('| x + y | ADD | ≤ 0.5 of Go | 0.400 of Go | yes |');
  expect(text).toContain('| x + y | memory | ≤ 8 MB | 6.00 MB | yes |');
  expect(text).toContain('a machine');
  expect(text).toContain('Left out: bridge + z');
});
