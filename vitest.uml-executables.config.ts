import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import uml from './vitest.uml.config.ts';

/** The tests of the plugins that run in user-mode Linux once more, calling the executables of dist/bin. */
export default defineConfig({
  ...uml,
  test: {
    ...uml.test,
    include: ['packages/plugins/**/*.uml.test.ts'],
    env: { CNI_TS_EXECUTABLES: join(import.meta.dirname, 'dist/bin') },
  },
});
