import { existsSync, readFileSync } from 'node:fs';

/** What became of the tests of a stage. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 };

export function sum(counts: readonly Counts[]): Counts {
  return counts.reduce(
    (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped }),
    none,
  );
}

/** `12 passed, 1 failed`, and how many were skipped when any were. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The part of vitest's JSON report that is counted. */
interface Report {
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/** Counts of vitest's JSON report. What goes wrong outside of any test still counts as one failure: a file that could
 *  not be loaded, an error nobody caught, a run that ended without a report. */
export function countVitest(file: string, exitCode: number | undefined): Counts {
  if (!existsSync(file)) return { ...none, failed: 1 };
  // vitest's own format, checked by counts.test.ts on a real run.
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of report.testResults) {
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) counts.failed += 1;
    for (const test of assertionResults) {
      if (test.status === 'passed') counts.passed += 1;
      else if (test.status === 'failed') counts.failed += 1;
      else counts.skipped += 1;
    }
  }
  if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}
