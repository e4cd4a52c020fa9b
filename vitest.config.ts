import { configDefaults, defineConfig } from 'vitest/config';

/** Kernel tests put the worker's thread into a network namespace of its own: threads, one file each. */
export default defineConfig({
  test: {
    include: ['packages/**/*.test.ts', 'tools/**/*.test.ts'],
    // Those need a kernel with more modules: vitest.uml.config.ts.
    exclude: [...configDefaults.exclude, '**/*.uml.test.ts', '**/templates/**'],
    pool: 'threads',
    isolate: true,
    maxWorkers: 2,
    // The conformance suite fails each kernel write in turn: some twenty seconds on a machine that is busy.
    testTimeout: 180_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  },
});
