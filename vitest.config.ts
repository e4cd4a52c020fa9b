import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { chaiConfig } from './tools/workspace/src/failure-messages.ts';
import { longestFirst } from './tools/workspace/src/longest-first.ts';
import { pureTests, readableBy } from './tools/workspace/src/pure-tests.ts';

const include = ['packages/**/*.test.ts', 'tools/**/*.test.ts'];
// *.uml.test.ts need a kernel with more modules: vitest.uml.config.ts.
const exclude = [...configDefaults.exclude, '**/*.uml.test.ts', '**/templates/**'];
const quiet = '--disable-warning=ExperimentalWarning';

/** Kernel tests put themselves into a network namespace of their own: a process for each file. As threads of one process
 *  they would have the page tables of all of them copied whenever one starts a program. */
export const kernel = {
  include,
  exclude,
  pool: 'forks' as const,
  isolate: true,
  globalSetup: join(import.meta.dirname, 'packages/testing/src/run-folder.ts'),
  testTimeout: 30_000,
  execArgv: [quiet],
  chaiConfig,
};

/** What these say is about processes: a daemon that lives long, many calls at once. They run against the executables alone;
 *  that the sources work, too, other tests of these plugins say. */
export const byExecutablesAlone = [
  'packages/plugins/ipam/dhcp/src/{chain,ipv6,links,many,options,packets,renewal,servers,survival}.test.ts',
  'packages/plugins/ipam/host-local/src/sharing.test.ts',
];

const pure = pureTests();
/** The project whose tests these are, where nx keeps their outcome. */
const only = process.env.CNI_TS_PURE_TESTS_OF;
const readable = only === undefined ? [import.meta.dirname] : readableBy(only);

/** Node itself sees to it that pure tests are: it refuses them to write a file, to start a program, to use the network
 *  and to call into C, and to read what nx does not take for their inputs. */
export const permissions = ['--permission', ...readable.map((folder) => `--allow-fs-read=${folder}`)];

/** The longest, and those that mostly wait. */
const first = [
  'packages/plugins/main/bridge/src/bridge.test.ts',
  'packages/plugins/main/macvlan/src/macvlan.test.ts',
  'packages/plugins/meta/firewall/src/traffic.test.ts',
  'packages/plugins/main/ptp/src/ptp.test.ts',
  'tools/workspace/src/contributing.test.ts',
  'tools/workspace/src/plugin/generator.test.ts',
  'packages/cli/src/trace/trace.test.ts',
  'tools/bundle/src/engine.test.ts',
  'packages/plugins/meta/bandwidth/src/bandwidth.test.ts',
  'tools/bundle/src/multicall.test.ts',
  'packages/testing/src/conformance-chained-faults.test.ts',
  'packages/testing/src/conformance-faults.test.ts',
  'packages/testing/src/conformance.test.ts',
];

export default defineConfig({
  test: {
    // Of each file's time half is waiting: for addresses to settle, for leases to end.
    maxWorkers: 3,
    sequence: { sequencer: longestFirst(import.meta.dirname, first) },
    projects: [
      {
        test: {
          name: 'pure',
          include: pure,
          exclude,
          pool: 'forks',
          testTimeout: 10_000,
          execArgv: [quiet, ...permissions],
          chaiConfig,
        },
      },
      { test: { ...kernel, name: 'kernel', exclude: [...exclude, ...byExecutablesAlone, ...pure] } },
    ],
  },
});
