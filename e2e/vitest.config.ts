import { defineConfig } from 'vitest/config';

/** Whole executables under load: one file after the other, and patience. */
export default defineConfig({
  test: {
    include: ['e2e/src/**/*.test.ts'],
    pool: 'threads',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  },
});
