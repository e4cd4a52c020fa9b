import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { closingLine, countVitest, failedBecause, none, sum } from './counts.ts';

const repository = resolve(import.meta.dirname, '../../..');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'counts-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What becomes of a real run of `files`. */
async function run(files: Record<string, string>) {
  for (const [name, source] of Object.entries(files)) writeFileSync(join(folder, name), source);
  writeFileSync(join(folder, 'vitest.config.mjs'), 'export default { test: { globals: true } };');
  const report = join(folder, 'report.json');
  const { exitCode } = await execa(
    'vitest',
    ['run', `--root=${folder}`, '--reporter=json', `--outputFile=${report}`],
    { cwd: repository, preferLocal: true, localDir: repository, reject: false },
  );
  return countVitest(report, exitCode, folder);
}

it('counts what a run reports, and tells what failed where', async () => {
  const counts = await run({
    'a.test.mjs': `
      it('holds', () => {});
      it.skip('waits', () => {});
      describe('a group', () => it('breaks', () => expect('one thing').toBe('another')));`,
    'b.test.mjs': `import './missing.mjs'; it('never runs', () => {});`,
  });
  expect(closingLine(counts)).toBe('1 passed, 2 failed, 1 skipped');
  expect(counts.failures).toEqual([
    expect.stringMatching(/^a\.test\.mjs > a group breaks\n.*one thing.*another/s),
    expect.stringMatching(/^b\.test\.mjs\n.*missing\.mjs/s),
  ]);
});

it('tells what was skipped by the suite whose name says why', async () => {
  const counts = await run({
    'a.test.mjs': `
      describe.skip('podman, which does not run here: none is installed', () => {
        it('starts', () => {});
        it('stops', () => {});
      });
      it.skip('waits', () => {});`,
  });
  expect(counts.skips).toEqual([
    'a.test.mjs > podman, which does not run here: none is installed (2 tests)',
    'a.test.mjs > waits',
  ]);
  expect(sum([counts, none]).skips).toEqual(counts.skips);
});

it('takes an error outside of any test for one failure', async () => {
  const counts = await run({
    'a.test.mjs': `it('holds', () => { setTimeout(() => { throw new Error('late'); }); });
      it('waits', () => new Promise((done) => setTimeout(done, 50)));`,
  });
  expect(closingLine(counts)).toBe('2 passed, 1 failed');
});

it('takes a run without a report for one failure', () => {
  expect(closingLine(countVitest(join(folder, 'none.json'), 137, folder))).toBe('0 passed, 1 failed');
});

it('adds up', () => {
  const total = sum([{ ...none, passed: 2, skipped: 1 }, failedBecause('lint'), failedBecause('types')]);
  expect(closingLine(total)).toBe('2 passed, 2 failed, 1 skipped');
  expect(total).toEqual({ passed: 2, skipped: 1, failures: ['lint', 'types'] });
});
