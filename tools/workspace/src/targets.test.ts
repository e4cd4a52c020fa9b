/** What nx is to know of each project, and that each file of tests is run by just one group. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, matchesGlob, relative } from 'node:path';
import { packages, workspaceRoot } from '@cni-ts/bundle/workspace';
import { describe, expect, test } from 'vitest';
import { byExecutablesAlone, permissions } from '../../../vitest.config.ts';
import { pureTests, readableBy, touchesMachine } from './pure-tests.ts';

const run = (program: string, ...args: string[]) =>
  execFileSync(join(workspaceRoot, 'node_modules/.bin', program), args, {
    cwd: workspaceRoot,
    encoding: 'utf8',
  });

/** Every file that is or would be in the repository. */
const files = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
  cwd: workspaceRoot,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '' && !file.includes('/templates/'));
const tests = files.filter((file) => file.endsWith('.test.ts') && !file.endsWith('.uml.test.ts'));
const pure = pureTests();

describe.each(packages())('$project', ({ project, path, manifest }) => {
  const own = (file: string) => file.startsWith(`${path}/`);
  const wanted = [
    'lint',
    ...(pure.some(own) ? ['unit'] : []),
    ...(tests.some(own) && project !== 'e2e' ? ['test'] : []),
  ];

  test(`has the targets ${wanted.join(', ')}`, () => {
    expect(Object.keys(manifest.nx?.targets ?? {}), `nx.targets of ${path}/package.json`).toEqual(
      expect.arrayContaining(wanted),
    );
  });
});

test('each file of tests is pure or a kernel test, and none is both', () => {
  const listed: { file: string; projectName: string }[] = JSON.parse(
    run('vitest', 'list', '--filesOnly', '--json'),
  );
  const among = (name: string) =>
    listed
      .filter(({ projectName }) => projectName === name)
      .map(({ file }) => relative(workspaceRoot, file))
      .sort();
  expect(among('pure')).toEqual(pure);
  expect([...among('pure'), ...among('kernel')].sort()).toEqual(
    tests
      .filter((file) => !file.startsWith('e2e/') && !byExecutablesAlone.some((one) => matchesGlob(file, one)))
      .sort(),
  );
});

test.for([
  ['node:fs', true],
  ['node:child_process', true],
  ['execa', true],
  ['@cni-ts/testing/namespaces', true],
  ['@cni-ts/libc/netns', true],
  ['@cni-ts/libc/syscall-error', false],
  ['@cni-ts/spec/result', false],
  ['node:path', false],
  ['fast-check', false],
  ['./ranges.ts', false],
] as const)('a test that imports %s touches the machine: %s', ([specifier, touches]) => {
  expect(touchesMachine(specifier)).toBe(touches);
});

test.for([
  ['write a file', `fs.writeFileSync('/tmp/of-a-pure-test', '')`],
  ['read what is not of the workspace', `fs.readFileSync('/etc/hostname')`],
  ['start a program', `child_process.spawnSync('true')`],
  ['open a connection', `net.connect(1, '127.0.0.1').on('error', tell)`],
  ['call into C', `process.getBuiltinModule('node:ffi').dlopen('libc.so.6', {})`],
] as const)('Node lets no pure test %s', ([, attempt]) => {
  const program = `const tell = ({ code }) => console.log(code); try { ${attempt} } catch (error) { tell(error) }`;
  const { stdout, stderr } = spawnSync(process.execPath, [...permissions, '-e', program], {
    encoding: 'utf8',
    cwd: workspaceRoot,
  });
  expect(stdout, stderr).toBe('ERR_ACCESS_DENIED\n');
});

test('a pure test may read its own package and those it stands on, and no other', () => {
  const folders = readableBy('cli').map((folder) => relative(workspaceRoot, folder));
  expect(folders).toEqual(
    expect.arrayContaining(['packages/cli', 'packages/libcni/src', 'packages/address/src']),
  );
  expect(folders).not.toContain('packages/plugins/main/bridge/src');
});

test('no file lies between the projects, where neither their lint nor the root’s sees it', () => {
  const { nx } = JSON.parse(readFileSync(join(workspaceRoot, 'package.json'), 'utf8'));
  expect(nx.targets.lint.command).toContain(`grep -zvE '^(packages|tools|e2e)/'`);
  const folders = packages().map(({ path }) => `${path}/`);
  const between = files.filter(
    (file) => /^(packages|tools|e2e)\//.test(file) && !folders.some((folder) => file.startsWith(folder)),
  );
  expect(between).toEqual([]);
});

test('a change of one package concerns the types, and the pure tests of what stands on it and of no other', () => {
  const affected = (file: string, target: string): string[] =>
    JSON.parse(run('nx', 'show', 'projects', '--affected', `--files=${file}`, '-t', target, '--json'));
  const file = 'packages/plugins/main/loopback/src/loopback.ts';
  expect(affected(file, 'types')).toEqual(['root']);
  const units = affected('packages/netlink/src/codec.ts', 'unit');
  expect(units).toEqual(expect.arrayContaining(['netlink', 'bridge']));
  expect(units).not.toEqual(expect.arrayContaining(['address']));
});
