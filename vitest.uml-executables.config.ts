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
    // Faults come by a filter of system calls (SECCOMP_RET_TRACE), which this kernel does not tell a tracer of. The same
    // faults are injected into the sources here, and into the executables of other plugins on the machine's own kernel.
    testNamePattern: /^(?!.*(?:at any of its|that loses an answer|does not hear)).*$/,
  },
});
