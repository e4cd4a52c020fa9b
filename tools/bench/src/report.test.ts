import { expect, test } from 'vitest';
import { figure } from './figure.ts';
import { page } from './page.ts';
import { rowsOf } from './report.ts';
import type { Sample, Unit } from './scenario.ts';
import { notes, textTable } from './table.ts';

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

/** What one side's calls of a row came to. */
function failing(of: string, count: number, made: number, mended = 0) {
  return new Map([[of, { count, made, mended, why: 'exit status 1: it\nsaid no' }]]);
}

// A failed DEL and its repetition are two calls: the first has failed, and no time is told of them.
test('calls that had to be repeated are told by side', () => {
  const theirs = failing('DEL', 2, 2, 2);
  const all = { ours: samples('DEL', 'ms', 5, 5), theirs: [], floor: [] };
  const text = notes({ rows: rowsOf(scenario, all, { theirs }), rounds: 2, leftOut: [] }).join('\n');
  expect(text).toContain("x + y: 2 of 2 DEL of Go's failed");
  expect(text).toContain(
    'failed, and succeeded when called again. The first said: exit status 1: it said no',
  );
});

test('a side whose calls all failed has the number of them in place of figures, and there is no ratio', () => {
  const all = { ours: samples('ADD', 'ms', 5, 5), theirs: [], floor: [] };
  const [row] = rowsOf(scenario, all, { theirs: failing('ADD', 20, 20) });
  expect(row).not.toHaveProperty('theirs');
  expect(row).not.toHaveProperty('ratio');
  expect(row).not.toHaveProperty('target');
  expect(textTable([row!])).toMatch(/ADD \(ms\) +5\.00 +5\.00 +failed 20 of 20/);
  const markdown = page({ machine: 'm', rounds: 20, rows: [row!], leftOut: [] });
  expect(markdown).toContain('| ADD (ms) | 5.00 | 5.00 | failed 20 of 20 |');
  expect(markdown).toContain("x + y: 20 of 20 ADD of Go's failed. The first said:");
});

test('what ours cannot do is a figure that is not reached', () => {
  const all = { ours: [], theirs: samples('ADD', 'ms', 10), floor: [] };
  const rows = rowsOf(scenario, all, { ours: failing('ADD', 1, 1) });
  expect(rows).toMatchObject([{ of: 'ADD', unit: 'ms', target: { reached: false } }]);
  expect(textTable(rows)).toMatch(/ADD \(ms\) +failed 1 of 1 +10\.0 .*MISSED/);
  expect(page({ machine: 'm', rounds: 1, rows, leftOut: [] })).toContain('| ≤ 0.5 of Go | failed | **no** |');
});

test('when some calls failed, the figures of the others stand, with a note', () => {
  const all = { ours: samples('ADD', 'ms', 5), theirs: samples('ADD', 'ms', 9, 11), floor: [] };
  const rows = rowsOf(scenario, all, { theirs: failing('ADD', 1, 3) });
  expect(rows).toMatchObject([{ ratio: 0.5, theirs: { count: 2 } }]);
  expect(notes({ rows, rounds: 3, leftOut: [] }).join('\n')).toContain("x + y: 1 of 3 ADD of Go's failed");
});

test('the page names the version of what ours are compared with', () => {
  const peers = 'Go plugins 1.9.1+ds1-2 (go1.26.5)';
  const text = page({ machine: 'a machine', peers, rounds: 1, rows: [], leftOut: [] });
  expect(text).toContain('Beside Go plugins 1.9.1+ds1-2 (go1.26.5).');
});

test('what was measured on a busy machine says so in table, page and notes', () => {
  const floors = [
    { title: 'x + y', least: 0.7, median: 2.1, mean: 8 },
    { title: 'z', least: 0.7, median: 0.9, mean: 1.2 },
  ];
  const all = { ours: samples('ADD', 'ms', 5), theirs: [], floor: [] };
  const rows = [...rowsOf(scenario, all), ...rowsOf({ name: 'z', title: 'z' }, all)];
  const text = textTable(rows, floors);
  expect(text).toContain('x + y (on a busy machine)\n');
  expect(text).toContain('\nz\n');
  const markdown = page({ machine: 'm', rounds: 1, rows, leftOut: [], floors });
  expect(markdown).toContain('### x + y\n\n**On a busy machine**');
  expect(markdown).toContain('- x + y: the machine was busy with something else.');
  expect(markdown).not.toContain('- z: the machine');
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
