import { configDefaults, defineConfig } from 'vitest/config';
import { chaiConfig } from '../tools/workspace/src/failure-messages.ts';
import { longestFirst } from '../tools/workspace/src/longest-first.ts';

/** The longest, and those that mostly wait: for agents to rest, for answers that do not come. */
const first = [
  'release',
  'repair',
  'cluster-demo',
  'mixed-chains',
  'interop',
  'replacing',
  'guides',
  'cluster-down',
  'adverse-process',
  'odd-worlds',
  'podman',
  'doctor',
  'chains',
  'node-packages',
  'lost-chains',
];

/** Whole executables: four files at a time, each on a network of its own, and patience. */
export default defineConfig({
  test: {
    include: ['e2e/src/**/*.test.ts'],
    // Those need another kernel: vitest.uml.config.ts.
    exclude: [...configDefaults.exclude, '**/*.uml.test.ts'],
    // A process each: Node copies its page tables whenever it starts a program, and a process with four files has four
    // times as many.
    pool: 'forks',
    maxWorkers: 4,
    sequence: {
      sequencer: longestFirst(
        import.meta.dirname,
        first.map((file) => `src/${file}.test.ts`),
      ),
    },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    chaiConfig,
  },
});
