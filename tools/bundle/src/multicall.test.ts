import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleMulticall } from './javascript.ts';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

let folder: string;
let script: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cni-multicall-'));
  script = join(folder, 'multicall.cjs');
  await bundleMulticall(script);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the bundle as the executable would be: by a name in argv[0]. */
function callAs(name: string, env: Record<string, string>, file = script) {
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    argv0: `/opt/cni/bin/${name}`,
    env,
    input: '',
    encoding: 'utf8',
  });
}

const plugins = pluginFolders().filter(hasSource);

test.each(plugins)('called as $name it is that plugin', ({ name }) => {
  const { stdout, stderr, status } = callAs(name, { CNI_COMMAND: 'VERSION' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(JSON.parse(stdout)).toHaveProperty('supportedVersions');
});

test('called by a name it does not have, it says which it has', () => {
  const { stdout, stderr, status } = callAs('brigde', { CNI_COMMAND: 'VERSION' });
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toMatch(/^brigde: this program does not go by that name\. .*\bbridge\b.*\bcnitool\n$/);
});

test('called by the name of something every object has, it says so as well', () => {
  expect(callAs('constructor', {}).stderr).toContain('does not go by that name');
});

test('called as one plugin it evaluates no other plugin and not the command-line tool', () => {
  // esbuild wraps each module that is loaded on demand in a function and notes its path there as a name.
  const noting = join(folder, 'noting.cjs');
  const text = readFileSync(script, 'utf8');
  const wrapper = /"((?:packages|node_modules)\/[^"]+)"\(\) \{/g;
  expect(text.match(wrapper)?.length).toBeGreaterThan(plugins.length);
  writeFileSync(noting, text.replace(wrapper, '$& process._rawDebug("$1");'));

  const evaluated = callAs('loopback', { CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere' }, noting).stderr.split(
    '\n',
  );
  expect(evaluated).toContain('packages/plugins/main/loopback/src/loopback.ts');
  const others = evaluated.filter((file) => /^packages\/(plugins|cli|libcni)\/|commander|execa/.test(file));
  expect(others.filter((file) => !file.includes('/loopback/'))).toEqual([]);
});

test('VERSION is answered before any plugin is evaluated', () => {
  const noted = callAs('loopback', { CNI_COMMAND: 'VERSION' }, join(folder, 'noting.cjs')).stderr;
  expect(noted).not.toContain('packages/plugins/');
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
