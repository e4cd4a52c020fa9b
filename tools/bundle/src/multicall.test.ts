import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compile } from './executable.ts';
import { bundleMulticall, type Program } from './javascript.ts';
import { ownCpu } from './quickjs.ts';
import { hasSource, pluginFolders, workspaceRoot } from './workspace.ts';

let folder: string;
/** The program, and one where every chunk says on stderr that it is evaluated. */
let program: string;
let noting: string;
let sources: Program['sources'];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cni-multicall-'));
  program = await compiled('program', await bundleMulticall());
  const note = (chunk: string) =>
    `{ const line = engine.encode("evaluated ${chunk}\\n"); engine.libc.write(2, line, line.length); }\n`;
  const bundled = await bundleMulticall(workspaceRoot, note);
  // Not prepared: then it evaluates just what a call needs.
  noting = await compiled('noting', bundled, false);
  ({ sources } = bundled);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function compiled(name: string, { scripts }: Program, prepared = true): Promise<string> {
  const file = join(folder, name);
  await compile(scripts, file, ownCpu(), join(folder, `${name}.work`), { prepared, largePageFor: 'cnitool' });
  return file;
}

/** Calls the program by a name in argv[0]. */
function callAs(name: string, env: Record<string, string>, file = program, input = '') {
  return spawnSync(file, [], { argv0: `/opt/cni/bin/${name}`, env, input, encoding: 'utf8' });
}

/** The sources whose code a call evaluated, relative to the root. */
function evaluated(name: string, command: string, config: object): string[] {
  const env = { CNI_COMMAND: command, CNI_PATH: '/nowhere', CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0' };
  const { stderr } = callAs(name, { ...env, CNI_NETNS: '/nowhere' }, noting, JSON.stringify(config));
  return stderr
    .split('\n')
    .flatMap((line) =>
      line.startsWith('evaluated ') ? (sources[line.slice('evaluated '.length)] ?? []) : [],
    );
}

/** Their packages: what a plugin is made of, short enough to be read. */
function packagesOf(sources: readonly string[]): string[] {
  const names = sources.map(
    (path) =>
      /node_modules\/([^/]+)\//.exec(path)?.[1] ??
      /^packages\/(?:plugins\/\w+\/)?([^/]+)\//.exec(path)?.[1] ??
      path,
  );
  return [...new Set(names)].sort();
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

describe('what a call loads', () => {
  const config = { cniVersion: '1.1.0', name: 'net' };

  test.each(plugins)('$name: itself, no other plugin, not the tool and none of its libraries', ({ name }) => {
    const loaded = evaluated(name, 'DEL', config);
    expect(loaded).toContain(
      `packages/plugins/${pluginFolders().find((one) => one.name === name)?.kind}/${name}/src/${name}.ts`,
    );
    const others = packagesOf(loaded).filter(
      (one) => one !== name && (plugins.some((plugin) => plugin.name === one) || /^(cli|libcni)$/.test(one)),
    );
    const libraries = packagesOf(loaded).filter((one) => /^(execa|dbus|base64-js|zod$)/.test(one));
    expect([...others, ...libraries]).toEqual([]);
  });

  // What a plugin is made of as it starts: a word more here is time that every call takes.
  test.each([
    ['bandwidth', 'address bandwidth engine libc multicall netlink plugin-kit rtnetlink skeleton'],
    ['bridge', 'address bridge engine libc multicall netlink plugin-kit rtnetlink skeleton'],
    ['firewall', 'address engine firewall libc multicall netfilter netlink plugin-kit skeleton'],
    ['host-local', 'address engine host-local libc multicall skeleton'],
    ['loopback', 'address engine libc loopback multicall netlink rtnetlink skeleton'],
    ['macvlan', 'address engine libc macvlan multicall netlink plugin-kit rtnetlink skeleton'],
    ['portmap', 'address engine libc multicall netfilter netlink plugin-kit portmap rtnetlink skeleton'],
    ['ptp', 'address engine libc multicall netlink plugin-kit ptp rtnetlink skeleton'],
    ['static', 'address engine libc multicall plugin-kit skeleton static'],
    ['tuning', 'address engine libc multicall netlink plugin-kit rtnetlink skeleton tuning'],
  ])('%s starts with %s', (name, packages) => {
    const loaded = packagesOf(evaluated(name, 'DEL', config));
    expect(loaded.filter((one) => one !== 'zod:cni-ts:lazy-zod').join(' ')).toBe(packages);
  });

  test('VERSION: nothing but the name and the list of versions', () => {
    expect(packagesOf(evaluated('bridge', 'VERSION', config))).toEqual(['engine', 'multicall', 'skeleton']);
    expect(evaluated('bridge', 'VERSION', config).length).toBeLessThan(8);
  });
});

test('no source uses what Node has and the engine lacks', async () => {
  const { scripts } = await bundleMulticall();
  const lacking =
    /(?<![.\w$])(Atomics|Buffer|Intl|SharedArrayBuffer|URL|console|crypto|fetch|queueMicrotask|setInterval)\b(?!:)/g;
  const found = scripts
    .filter(({ name }) => name !== 'zod.cjs')
    .flatMap(({ name, text }) =>
      [...text.replace(/"(?:[^"\\\n]|\\.)*"/g, '""').matchAll(lacking)].map(([word]) => `${name}: ${word}`),
    );
  expect(scripts.length).toBeGreaterThan(20);
  expect(found).toEqual([]);
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
