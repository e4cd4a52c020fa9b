/** A plugin of each kind, made in a copy of the workspace by the command a contributor types. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { copyWorkspace, removeCopy } from '../workspace-copy.ts';

const plugins = { 'new-main': 'main', 'new-ipam': 'ipam', 'new-meta': 'meta' } as const;
const names = Object.keys(plugins).join(',');

/** Milliseconds: each test starts a dozen Nodes, one or two at a time. Ten seconds on a quiet machine. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let root: string;
beforeAll(() => {
  root = copyWorkspace();
});
afterAll(() => removeCopy(root));

/** A command in the copy: its exit status and all it says. */
async function run(command: string, ...args: string[]) {
  const { exitCode, all } = await execa(command, args, {
    cwd: root,
    all: true,
    reject: false,
    extendEnv: false,
    env: {
      HOME: root,
      PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`,
      NX_TUI: 'false',
      FORCE_COLOR: '0',
    },
  });
  return { status: exitCode, said: all ?? '' };
}

const generate = (name: string, kind: string) =>
  run('nx', 'g', '@cni-ts/workspace:plugin', name, '--kind', kind);

describe('new plugins', () => {
  // Each test stands on the one before: what is made, builds and keeps the rules.
  test.for(Object.entries(plugins))('%s is made as a plugin of kind %s', async ([name, kind]) => {
    const { status, said } = await generate(name, kind);
    expect(status, said).toBe(0);
    expect(said).toContain(`npx nx test ${name}`);
  });

  test('lint, pure tests and build of each pass at once', async () => {
    const { status, said } = await run('nx', 'run-many', '-t', 'lint,unit,build', '-p', names);
    expect(status, said).toBe(0);
    expect(readFileSync(join(root, 'dist/js/new-meta.js'), 'utf8')).toMatch(/^#!.*node/);
  });

  test('the tests of each pass at once, the conformance suite among them', async () => {
    const { status, said } = await run('nx', 'run-many', '-t', 'test', '-p', names, '--outputStyle=static');
    expect(status, said).toBe(0);
    expect(said).not.toMatch(/no tests|skipped/i);
  });

  test('the types are right', async () => {
    const { status, said } = await run('nx', 'run', 'root:types');
    expect(status, said).toBe(0);
  });

  test('they keep the rules of the house: boundaries, README, registry, lockfile, targets', async () => {
    const rules = ['boundaries', 'completeness', 'targets'].map(
      (one) => `tools/workspace/src/${one}.test.ts`,
    );
    const { status, said } = await run('vitest', 'run', '--reporter=verbose', ...rules);
    expect(status, said).toBe(0);
    expect(said).toContain('new-main');
  });

  test('nothing is to be installed then', async () => {
    const { status, said } = await run('bash', 'tools/setup/with-tools', '--for', 'lint', 'true');
    expect({ status, said }).toEqual({ status: 0, said: '' });
  });

  test('npm finds nothing to add to the lockfile', async () => {
    const lock = () => readFileSync(join(root, 'package-lock.json'), 'utf8');
    const before = lock();
    const { status, said } = await run(
      'npm',
      'install',
      '--package-lock-only',
      '--offline',
      '--ignore-scripts',
    );
    expect(status, said).toBe(0);
    expect(lock()).toBe(before);
  });
});

test.for([
  ['bridge', 'exists, in packages/plugins/main/bridge'],
  ['netlink', 'exists, in packages/netlink'],
  ['My_Plugin', 'use small letters and digits'],
] as const)('%s is refused with a sentence', async ([name, sentence]) => {
  const { status, said } = await generate(name, 'meta');
  expect(status).toBe(1);
  expect(said).toContain(sentence);
  expect((await run('git', 'status', '--short', '--', `packages/plugins/meta/${name}`)).said).toBe('');
});
