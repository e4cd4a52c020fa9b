/** `npm test [-- ‹stage›…]`: every check of the repository, one stage after the other, and one closing line with the
 *  sum. A stage that is no list of tests (lint, types, build) counts as one. */
import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packages, workspaceRoot as root } from '@cni-ts/bundle/workspace';
import { commandLine, oneOf } from '@cni-ts/setup/command-line';
import { etcdProgram } from '@cni-ts/testing/etcd-program';
import { execa } from 'execa';
import { type Counts, closingLine, countVitest, failedBecause, none, sum } from './counts.ts';
import { isolated } from './isolated.ts';
import { type Stage, stageNames } from './stages.ts';
import { haveUml, runInUml } from './uml.ts';

const reports = mkdtempSync(join(tmpdir(), 'cni-test-'));
const passed: Counts = { ...none, passed: 1 };
const skipped: Counts = { ...none, skipped: 1 };

/** What leaves most of a processor to others, and needs no more than the build: it runs beside the tests, from the first of
 *  them on. It gives its counts, and shows what was printed, when the function it returns is called: at its turn. `isTurn`:
 *  that is now, and what it prints may be shown as it comes. */
const besides = {
  // Half of each file's time is waiting, and so it is among the tests once those that mostly compute are done.
  e2e: async (isTurn) => {
    if (!isTurn) for (const one of busy) if (isAsked(one)) await beside(one, false);
    return vitest('e2e', 'e2e/vitest.config.ts', [], isTurn);
  },
  // The seed is fixed so that a failure is one of the change at hand.
  torture: () =>
    checkBeside('node', [
      '--disable-warning=ExperimentalWarning',
      ...['tools/torture/src/torture.ts', '--seed', '1', '--short'],
    ]),
  cluster: inCluster,
  uml: inUml,
} satisfies Partial<Record<Stage, (isTurn: boolean) => Promise<() => Counts>>>;
type Beside = keyof typeof besides;
const busy: readonly Beside[] = ['torture', 'uml'];
const isBeside = (name: Stage): name is Beside => name in besides;

const stages: Record<Exclude<Stage, Beside>, () => Promise<Counts>> = {
  lint: () => check('nx', ['run-many', '-t', 'lint']),
  types: () => check('nx', ['run', 'root:types']),
  build: () => check('node', ['tools/bundle/src/build.ts']),
  tests: async () =>
    sum([await pureTests(), (await vitest('tests', 'vitest.config.ts', ['--project=kernel']))()]),
  // What this leaves out has run among the tests.
  executables: async () => ({
    ...(await vitest('executables', 'vitest.executables.config.ts'))(),
    skipped: 0,
    skips: [],
  }),
};

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const { positionals } = commandLine('npm test', { options: {}, allowPositionals: true });
const asked = positionals.map((name) => oneOf('npm test', 'stage', name, stageNames));

const counts: Counts[] = [];
const beforeTests: readonly Stage[] = ['lint', 'types', 'build'];
const started: Partial<Record<Beside, Promise<() => Counts>>> = {};
const isAsked = (name: Stage) => asked.length === 0 || asked.includes(name);
for (const name of stageNames) {
  if (!isAsked(name)) continue;
  say(`\n=== ${name}`);
  const began = performance.now();
  if (!beforeTests.includes(name)) {
    for (const one of stageNames) if (isBeside(one) && isAsked(one)) beside(one, one === name);
  }
  const count = isBeside(name) ? (await beside(name, true))() : await stages[name]();
  say(`=== ${name}: ${closingLine(count)} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  counts.push(count);
}
rmSync(reports, { recursive: true });

const total = sum(counts);
if (total.skips?.length) say('\n=== skipped');
for (const skip of total.skips ?? []) say(skip);
if (total.failures.length > 0) say('\n=== failed');
for (const failure of total.failures) say(`\n${failure}`);
say(`\n${closingLine(total)}`);
process.exitCode = total.failures.length > 0 ? 1 : 0;

/** Starts it, unless it runs already. */
function beside(name: Beside, isTurn: boolean): Promise<() => Counts> {
  started[name] ??= besides[name](isTurn);
  return started[name];
}

/** A command that succeeds or fails as a whole. */
async function check(command: string, args: string[]): Promise<Counts> {
  const { exitCode } = await run(command, args);
  return exitCode === 0 ? passed : failedBecause([command, ...args].join(' '));
}

/** The same for one whose output is shown later. */
async function checkBeside(command: string, args: string[]): Promise<() => Counts> {
  const { exitCode, all } = await execa(command, args, { cwd: root, all: true, reject: false });
  return () => {
    say(all);
    return exitCode === 0 ? passed : failedBecause([command, ...args].join(' '));
  };
}

function run(command: string, args: readonly string[]) {
  const plain = { NX_TUI: 'false', ...(!process.stdout.isTTY && { FORCE_COLOR: '0' }) };
  return execa(command, args, { cwd: root, stdio: 'inherit', reject: false, env: plain });
}

/** What nx knows of the pure tests of each project, from this run or from one on the same sources. */
async function pureTests(): Promise<Counts> {
  const report = (project: string) => join(root, '.cache/unit', `${project}.json`);
  const projects = packages().filter(({ manifest }) => manifest.nx?.targets?.unit);
  // Of another run, on other sources; nx puts back those that hold.
  for (const { project } of projects) rmSync(report(project), { force: true });
  const { exitCode } = await run('nx', ['run-many', '-t', 'unit']);
  const counts = sum(projects.map(({ project }) => countVitest(report(project), 0, root)));
  if (exitCode === 0 || counts.failures.length > 0) return counts;
  return sum([counts, failedBecause(`nx run-many -t unit ended with ${exitCode}: its output says why`)]);
}

/** `isTurn`: what it prints is shown as it comes. */
async function vitest(
  name: string,
  config: string,
  only: readonly string[] = [],
  isTurn = true,
): Promise<() => Counts> {
  if (!existsSync(join(root, config))) {
    return () => failedBecause(`${config} does not exist: nothing to run`);
  }
  const report = join(reports, `${name}.json`);
  const [command = '', ...args] = [
    ...isolated(process.getuid?.()),
    ...vitestCommand(config, report),
    ...only,
  ];
  const { exitCode, all = '' } = await execa(command, args, {
    ...{ cwd: root, reject: false, all: true },
    stdio: isTurn ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  return () => {
    if (!isTurn) say(all);
    if (!existsSync(report) && process.getuid?.() !== 0) {
      say('These tests make network namespaces. Without root that takes user namespaces: allow them');
      say(
        '(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0) or run as root.',
      );
    }
    return countVitest(report, exitCode, root);
  };
}

/** Most of its two minutes are waiting: for what is cut off to be healed, for a node to count as lost. After torture, which
 *  is done by then, so that there is one of the two beside the tests. The seed is fixed, as torture's. Without etcd there
 *  is nothing to try. */
async function inCluster(): Promise<() => Counts> {
  if (etcdProgram() === undefined) {
    return () => ({ ...skipped, skips: ['cluster: etcd is neither installed nor unpacked'] });
  }
  await started.torture;
  return checkBeside('node', [
    '--disable-warning=ExperimentalWarning',
    ...['tools/cluster-rig/src/rig.ts', '--seed', '1', '--short'],
  ]);
}

/**
 * The tests that the machine's own kernel may be too small for, and those of plugins among them once more with the
 * executables: two machines at once, each with one processor, behind what else runs.
 */
async function inUml(): Promise<() => Counts> {
  const files = globSync('{packages,tools,e2e}/**/*.uml.test.ts', {
    cwd: root,
    exclude: ['**/node_modules/**'],
  });
  if (files.length === 0) return () => none;
  if (!haveUml()) {
    const skips = [`uml: user-mode Linux is not installed (${files.length} files of tests)`];
    return () => ({ ...skipped, skips });
  }
  const compiling = await run('node', ['packages/testing/src/compile-programs.ts']);
  if (compiling.exitCode !== 0) return () => failedBecause('packages/testing/src/compile-programs.ts');
  const [sources, again] = await Promise.all([
    inMachine('uml', 'vitest.uml.config.ts'),
    existsSync(join(root, 'dist/bin'))
      ? inMachine('uml-executables', 'vitest.uml-executables.config.ts')
      : () => none,
  ]);
  // What the second leaves out has run in the first.
  return () => sum([sources(), { ...again(), skipped: 0, skips: [] }]);
}

/** What it prints is shown when its counts are asked for. */
async function inMachine(name: string, config: string): Promise<() => Counts> {
  const results = join(reports, name);
  mkdirSync(results);
  const { status, output } = await runInUml(
    [...vitestCommand(config, '$RESULTS/report.json'), '--configLoader=native'].join(' '),
    { cwd: root, results, path: process.env.PATH ?? '', timeoutSeconds: 1200 },
  );
  return () => {
    say(output);
    if (status === undefined) say('user-mode Linux ended before the tests did: its output is above');
    return countVitest(join(results, 'report.json'), status, root);
  };
}

function vitestCommand(config: string, report: string): string[] {
  return [
    'vitest',
    'run',
    `--config=${config}`,
    '--root=.',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
}
