import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { kernel } from './vitest.config.ts';

/** The tests of the plugins once more, calling the executables of dist/bin instead of the sources. */
export default defineConfig({
  test: {
    ...kernel,
    // Two thirds of each file's time are waiting, and by then little else runs.
    maxWorkers: 4,
    include: ['packages/plugins/**/*.test.ts'],
    env: { CNI_TS_EXECUTABLES: join(import.meta.dirname, 'dist/bin') },
    // These listen to what is written to the kernel, or let it fail, or give the plugin another allowlist.
    exclude: [...kernel.exclude, '**/iptables-native.test.ts', '**/busy-host.test.ts'],
    testNamePattern:
      /^(?!.*(?:and a failure later puts it back|a failed second ADD leaves|an undo of what never happened|\(tuning (?:25|37)\))).*$/,
  },
});
