import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, linkSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compile } from './executable.ts';
import { bundleMulticall } from './javascript.ts';
import { bundlePrograms, compilePrograms, refuseLarge, type Scripts } from './programs.ts';
import { ownCpu } from './quickjs.ts';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

let folder: string;
let program: string;
let tool: string;
let scripts: Scripts;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cni-multicall-'));
  scripts = await bundlePrograms();
  ({ plugins: program, tool } = await compilePrograms(scripts, folder, ownCpu(), join(folder, 'work')));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Calls the program by a name in argv[0]. */
function callAs(name: string, env: Record<string, string>, input = '', file = program, args: string[] = []) {
  return spawnSync(file, args, { argv0: `/opt/cni/bin/${name}`, env, input, encoding: 'utf8' });
}

const plugins = pluginFolders().filter(hasSource);

test.each(plugins)('called as $name it is that plugin', ({ name }) => {
  for (const file of [program, tool]) {
    const { stdout, stderr, status } = callAs(name, { CNI_COMMAND: 'VERSION' }, '', file);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(JSON.parse(stdout)).toHaveProperty('supportedVersions');
  }
});

test.each(plugins.flatMap(({ name, alsoCalled }) => alsoCalled.map((other) => ({ name, other }))))(
  'called as $other it is $name',
  ({ name, other }) => {
    for (const file of [program, tool]) {
      const env = { CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere' };
      const config = JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: other, ipam: 1 });
      const answers = [name, other].map((as) => callAs(as, env, config, file).stdout);
      expect(JSON.parse(answers[0] ?? '').code).toBe(50);
      expect(answers[1]).toBe(answers[0]);
    }
  },
);

test('the tool is a program of its own, and as the plugins’ program it says so', () => {
  expect(callAs('cnitool', {}, '', tool, ['--version']).stdout).toMatch(/^cnitool v/);
  expect(callAs('cnitool', {}, '', program, ['--version'])).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^this program has the plugins only, and cnitool is another: /),
  });
});

test('called by a name it does not have, it answers with an error that says which it has', () => {
  const { stdout: plugins } = callAs('brigde', { CNI_COMMAND: 'VERSION' });
  expect(JSON.parse(plugins).details).toMatch(/ bridge, .*\bvrf;/);
  const { stdout, stderr, status } = callAs('brigde', { CNI_COMMAND: 'VERSION' }, '', tool);
  expect({ stderr, status }).toEqual({ stderr: '', status: 1 });
  expect(JSON.parse(stdout)).toEqual({
    code: 999,
    msg: '"brigde" does not say which plugin this is',
    details: expect.stringMatching(/ bridge, .*\bcnitool;/),
  });
});

test('called at a shell by a name it does not have, it says so on stderr', () => {
  const { stdout, stderr, status } = callAs('constructor', {});
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toMatch(/^"constructor" does not say which plugin this is: .*\n$/);
});

test.each([
  ['cnv-bridge', 'ADD', 7],
  ['bridge.real', 'ADD', 7],
  ['cnv-host-local', 'STATUS', 7],
])('called as %s it is the plugin in that name', (name, command, code) => {
  const version = callAs(name, { CNI_COMMAND: 'VERSION' });
  expect(JSON.parse(version.stdout)).toHaveProperty('supportedVersions');
  const env = {
    CNI_COMMAND: command,
    CNI_PATH: '/x',
    CNI_CONTAINERID: 'c',
    CNI_NETNS: '/x',
    CNI_IFNAME: 'e',
  };
  expect(JSON.parse(callAs(name, env, '{"cniVersion":"1.1.0"}').stdout)).toEqual({
    code,
    msg: 'missing network name',
  });
});

test('a link to a name of its own is that plugin, whatever it is called', () => {
  linkSync(program, join(folder, 'static'));
  symlinkSync(join(folder, 'static'), join(folder, 'net1'));
  const { stdout } = spawnSync(join(folder, 'net1'), {
    env: { CNI_COMMAND: 'VERSION' },
    encoding: 'utf8',
  });
  expect(JSON.parse(stdout)).toHaveProperty('supportedVersions');
});

test('every plugin is in both, and the libraries that only other programs use are not', () => {
  const libraries = ({ sources }: Scripts['tool']) =>
    [...new Set(sources.flatMap((path) => /node_modules\/([^/]+)\//.exec(path)?.[1] ?? []))].sort();
  for (const { name, kind } of plugins) {
    expect(scripts.plugins.sources).toContain(`packages/plugins/${kind}/${name}/src/${name}.ts`);
    expect(scripts.tool.sources).toContain(`packages/plugins/${kind}/${name}/src/${name}.ts`);
  }
  expect(libraries(scripts.plugins)).toEqual(['zod']);
  expect(libraries(scripts.tool)).toEqual(['base64-js', 'js-yaml', 'jsonc-parser', 'path-browserify', 'zod']);
});

test('nothing of the tool is in the plugins’ program', () => {
  const others = /^packages\/(cli|libcni)\//;
  expect(scripts.plugins.sources.filter((path) => others.test(path))).toEqual([]);
});

test('a plugins’ program that has grown too large ends the build', () => {
  refuseLarge(4_500_000, ownCpu());
  expect(() => refuseLarge(4_500_001, ownCpu())).toThrow('has 4,500,001 bytes and may have 4,500,000: ');
});

const cross = ['aarch64-linux-gnu-gcc', 'qemu-aarch64'].every((name) => existsSync(`/usr/bin/${name}`));

// Where process.arch is arm64, the other one is built by itself.
test.skipIf(!cross || ownCpu() === 'arm64')(
  'for arm64 it is prepared in an emulator, and answers there',
  async () => {
    const file = join(folder, 'arm64');
    await compile(await bundleMulticall(), file, 'arm64', join(folder, 'work'));
    const env = { CNI_COMMAND: 'VERSION', PATH: process.env.PATH };
    const { stdout, stderr } = spawnSync('qemu-aarch64', ['-0', 'bridge', file], { env, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toHaveProperty('supportedVersions');
  },
  // It fetches and compiles the engine where nothing has, and runs it in an emulator.
  180_000,
);

test('a plugin starts within 4,000,000 bytes of addresses, or says in JSON that there is no memory', () => {
  const env = { CNI_COMMAND: 'VERSION' };
  linkSync(program, join(folder, 'dummy'));
  const words = ['--as=4000000', join(folder, 'dummy')];
  const { stdout, status, signal } = spawnSync('/usr/bin/prlimit', words, { env, encoding: 'utf8' });
  expect({ status: [0, 1].includes(status ?? -1), signal }).toEqual({ status: true, signal: null });
  expect(JSON.parse(stdout)).toBeDefined();
});

test('no source uses what Node has and the engine lacks', async () => {
  const { script } = scripts.tool;
  const lacking =
    /(?<![.\w$])(Atomics|Buffer|Intl|SharedArrayBuffer|URL|console|crypto|fetch(?=\()|queueMicrotask|setInterval)\b(?!:)/g;
  const own = script.replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  expect([...own.matchAll(lacking)].map(([word]) => word)).toEqual([]);
});

test('a bundle for Node runs under whatever name it lies in the plugin directory', () => {
  execFileSync(process.execPath, ['tools/bundle/src/bundle.ts', 'packages/plugins/main/loopback'], {
    cwd: workspaceRoot,
  });
  symlinkSync(join(workspaceRoot, 'dist/js/loopback.js'), join(folder, 'loopback'));
  const env = {
    CNI_COMMAND: 'VERSION',
    PATH: `${join(workspaceRoot, 'node_modules/.bin')}:${process.env.PATH}`,
  };
  const { stdout, stderr } = spawnSync(join(folder, 'loopback'), { env, input: '', encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toHaveProperty('supportedVersions');
});
