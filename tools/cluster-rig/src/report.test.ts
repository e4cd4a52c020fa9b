import { expect, test } from 'vitest';
import { published, type RunReport, together } from './report.ts';

const times = { count: 10, median: 1, p99: 2 };
const report = (seed: number, more: Partial<RunReport> = {}): RunReport => ({
  ...{ seed, nodes: 5, machine: 'a machine', versions: { etcd: '3.4' }, minutes: 7.4 },
  counts: { adds: seed * 100, refused: 1, killed: 2, dels: 3, checks: 4, collections: 5, looks: 6 },
  ...{ faults: { 'a member killed': seed }, violations: [], complaints: [], refusals: {} },
  ...more,
});
const figures: NonNullable<RunReport['figures']> = {
  ...{ atHand: times, hostLocal: times, claims: { ...times, p99: 26 }, thousand: 1, agentMemory: 2 ** 20 },
  crowd: { nodes: 5, adds: 1000, perSecond: 1001, times, again: 0, transactions: 19, requests: 20 },
  hostLocalCrowd: { adds: 10, perSecond: 1002 },
  sharedObject: { writers: 5, allocations: 1, perSecond: 1, tries: 2, median: 3, p99: 4 },
};
const page =
  'before\n<!-- what the rig has found -->\nof before\n<!-- end of what the rig has found -->\nafter\n';

test('a run that has measured begins anew, and another joins it in the place of that of its seed', () => {
  const seeds = (reports: readonly RunReport[]) => reports.map(({ seed, counts }) => [seed, counts.adds]);
  const first = together([report(7), report(8)], report(1, { figures }));
  expect(seeds(first)).toEqual([[1, 100]]);
  const second = together(first, report(2));
  expect(seeds(second)).toEqual([
    [1, 100],
    [2, 200],
  ]);
  expect(seeds(together(second, { ...report(2), minutes: 1 }))).toEqual(seeds(second));
});

test('the page has a column for each seed, and tells which goals were not reached', () => {
  const text = published(page, [report(1, { figures }), report(2, { faults: { 'disks full': 3 } })]);
  expect(text).toMatch(/^before\n<!-- what[\s\S]*<!-- end[\s\S]*-->\nafter\n$/);
  expect(text).not.toContain('of before');
  expect(text).toContain('| in the trial | seed 1 | seed 2 |');
  expect(text).toContain('| ADD answered | 100 | 200 |');
  expect(text).toContain('| a member killed | 1 | 0 |\n| disks full | 0 | 3 |');
  expect(text).toMatch(/claimed \(10\) \| p99 ≤ 25 ms \| .* \| \*\*no\*\* \|/);
  expect(text).toMatch(/1000 ADDs on 5 nodes at once \| ≥ 1,000 a second \| .* \| yes \|/);
});

test('a page without the marks is an error', () => {
  expect(() => published('nothing', [report(1)])).toThrow('lacks its marks');
});
