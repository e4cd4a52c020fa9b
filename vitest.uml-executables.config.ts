import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import uml from './vitest.uml.config.ts';

/** The tests of the plugins that run in user-mode Linux once more, calling the executables of dist/bin. */
export default defineConfig({
  ...uml,
  test: {
    ...uml.test,
    include: ['packages/plugins/**/*.uml.test.ts'],
    env: { ...uml.test?.env, CNI_TS_EXECUTABLES: join(import.meta.dirname, 'dist/bin') },
    // The suites, not each plugin's own cases. A refused request to delete a link is left out: where the first process
    // waits for orphans, as in there, another process sends it, and that it could not is told by nothing but time.
    testNamePattern: /^(?=.*\bconformance of )(?!.*a DEL that fails at any of its kernel writes).*$/,
  },
});
