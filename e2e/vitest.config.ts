import { configDefaults, defineConfig } from 'vitest/config';

/** Whole executables: four files at a time, each on a network of its own, and patience. */
export default defineConfig({
  test: {
    include: ['e2e/src/**/*.test.ts'],
    // Those need another kernel: vitest.uml.config.ts.
    exclude: [...configDefaults.exclude, '**/*.uml.test.ts'],
    pool: 'threads',
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  },
});
