import { defineConfig } from 'vitest/config';
import { chaiConfig } from './tools/workspace/src/failure-messages.ts';

/** Tests of what the machine's own kernel may lack, run inside user-mode Linux: one processor, slow system calls, and
 *  a tree that is read-only but for /tmp. */
export default defineConfig({
  cacheDir: '/tmp/vite',
  test: {
    // It would be in node_modules, and be cleared there when the lock file has changed.
    fsModuleCache: false,
    include: ['packages/**/*.uml.test.ts', 'tools/**/*.uml.test.ts', 'e2e/**/*.uml.test.ts'],
    // The suites run there against the executables, beside these: vitest.uml-executables.config.ts. What is left of them
    // for the sources is that a request is refused, which is another mechanism. CNI_TS_WHOLE=1: all of them.
    ...(process.env.CNI_TS_WHOLE === undefined && {
      testNamePattern: /^(?!.*\bconformance of )|at any of its kernel writes/,
    }),
    pool: 'threads',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    env: { CNI_TS_SNAPSHOT: 'links', CNI_TS_STARTER: '1' },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    chaiConfig,
  },
});
