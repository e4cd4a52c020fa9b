import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** What became of the tests of a stage. */
export interface Counts {
  readonly passed: number;
  readonly skipped: number;
  /** What was skipped, by the suite whose name tells why. */
  readonly skips?: readonly string[];
  /** What failed and how, for the end of a run, where it is looked for first. */
  readonly failures: readonly string[];
}

export const none: Counts = { passed: 0, skipped: 0, failures: [] };

export function sum(counts: readonly Counts[]): Counts {
  const skips = counts.flatMap((one) => one.skips ?? []);
  const total = counts.reduce(
    (a, b) => ({
      passed: a.passed + b.passed,
      skipped: a.skipped + b.skipped,
      failures: [...a.failures, ...b.failures],
    }),
    none,
  );
  return { ...total, ...(skips.length > 0 && { skips }) };
}

/** One failure, as text. */
export function failedBecause(failure: string): Counts {
  return { ...none, failures: [failure] };
}

/** `12 passed, 1 failed`, and how many were skipped when any were. */
export function closingLine({ passed, failures, skipped }: Counts): string {
  return `${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** The part of vitest's JSON report that is read. */
interface Report {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: {
      status: string;
      fullName: string;
      ancestorTitles?: string[];
      failureMessages?: string[] | null;
    }[];
  }[];
}

/** Counts of vitest's JSON report. What goes wrong outside of any test still counts as one failure: a file that could
 *  not be loaded, an error nobody caught, a run that ended without a report. Files are named as seen from `root`. */
export function countVitest(file: string, exitCode: number | undefined, root: string): Counts {
  if (!existsSync(file)) return failedBecause(`the run ended with ${exitCode} and without a report`);
  // vitest's own format, checked by counts.test.ts on a real run.
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  let passed = 0;
  let skipped = 0;
  const failures: string[] = [];
  const skips = new Map<string, number>();
  for (const { name, status, message, assertionResults } of report.testResults) {
    const source = relative(root, name);
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
      failures.push(`${source}\n${message ?? 'could not be run'}`);
    }
    for (const test of assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') {
        failures.push([`${source} > ${test.fullName}`, ...(test.failureMessages ?? [])].join('\n'));
      } else {
        skipped += 1;
        const what = `${source} > ${test.ancestorTitles?.[0] ?? test.fullName}`;
        skips.set(what, (skips.get(what) ?? 0) + 1);
      }
    }
  }
  if (exitCode !== 0 && failures.length === 0) {
    failures.push(`the run ended with ${exitCode}, though no test failed: its output says why`);
  }
  const told = [...skips].map(([what, count]) => (count > 1 ? `${what} (${count} tests)` : what));
  return { passed, skipped, failures, ...(told.length > 0 && { skips: told }) };
}
