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
    testTimeout: 20_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  },
});
