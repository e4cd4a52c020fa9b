/** The engine's own C, checked while it runs (AddressSanitizer, UndefinedBehaviorSanitizer), with all of our sources in it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { libcCalls } from './engine-objects.ts';
import { arenaOf, bytecodeOf, compile, markOf } from './executable.ts';
import { bundleMulticall } from './javascript.ts';
import { ownCpu, quickJs } from './quickjs.ts';
import { workspaceRoot } from './workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'sanitizers-'));
const sources = join(workspaceRoot, 'packages/engine/src');
const checks = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g', '-O1'];
afterAll(() => rmSync(folder, { recursive: true }));

// The sanitizers want glibc and cannot be linked statically, so QuickJS is compiled once more, unchecked.
const possible = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.includes('/');
const program = join(folder, 'program');

beforeAll(async () => {
  if (!possible) return;
  const work = join(folder, 'work');
  await compile(await bundleMulticall(), join(folder, 'plain'), ownCpu(), work);
  const { source } = await quickJs(ownCpu());
  const names = ['quickjs', 'cutils', 'dtoa', 'libregexp', 'libunicode'];
  const objects = names.map((name) => join(work, `glibc-${name}.o`));
  const options = ['-O0', '-fwrapv', '-D_GNU_SOURCE', '-DCONFIG_VERSION="test"'];
  await Promise.all(
    names.map(async (name, at) =>
      run('gcc', [...options, '-c', join(source, `${name}.c`), '-o', objects[at] ?? '']),
    ),
  );
  const engine = join(work, 'checked.o');
  writeFileSync(join(work, 'calls.inc'), libcCalls);
  await run('gcc', [...checks, '-I', source, '-I', work, '-c', join(sources, 'engine.c'), '-o', engine]);
  const link = (name: string, arena: string) => {
    writeFileSync(join(work, `${name}.S`), arena + markOf('0.0.0', 'test'));
    const sections = ['-Wl,--wrap=gettimeofday', '-Wl,--section-start=.arena=0x10000000', '-no-pie'];
    return run('gcc', [
      ...checks,
      ...sections,
      engine,
      join(work, `${name}.S`),
      ...objects,
      '-lm',
      '-o',
      join(work, name),
    ]);
  };
  const bytecode = `.balign 8\n.global program_start, program_end\nprogram_start: .incbin "${work}/plain/program.js.bytecode"\nprogram_end:\n`;
  const memory = join(work, 'checked-memory');
  await link('checked-first', arenaOf('%nobits', '.space 16777216') + bytecodeOf(bytecode));
  await run(join(work, 'checked-first'), ['--prepare', memory]);
  await link('checked', arenaOf('%progbits', `.incbin "${memory}"\n.balign 4096`) + bytecodeOf(bytecode));
  execFileSync('mv', [join(work, 'checked'), program]);
}, 400_000);

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' } });
    let text = '';
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', (status) => (status === 0 ? done() : fail(new Error(`${command}: ${text}`))));
  });
}

const environment = (command: string) => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/nowhere',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/',
  ASAN_OPTIONS: 'detect_leaks=0',
});

function call(plugin: string, command: string, input: string, shell = 'exec -a "$0" "$@"') {
  const env = environment(command);
  return spawnSync('bash', ['--norc', '-c', shell, plugin, program], { env, input, encoding: 'utf8' });
}

const config = (more: object = {}) => {
  const ipam = { type: 'host-local', dataDir: join(folder, 'networks'), subnet: '10.0.0.0/24', ...more };
  return JSON.stringify({ cniVersion: '1.1.0', name: 'n', ipam });
};

test.skipIf(!possible)('calls of all kinds do nothing that C does not define', () => {
  expect(call('bridge', 'VERSION', '')).toMatchObject({ status: 0, stderr: '' });
  expect(call('host-local', 'ADD', config())).toMatchObject({ status: 0, stderr: '' });
  expect(call('host-local', 'CHECK', config())).toMatchObject({ stderr: '' });
  expect(call('host-local', 'DEL', config())).toMatchObject({ status: 0, stderr: '' });
  const large = config({ padding: 'ä€😀\ud800'.repeat(100_000) });
  expect(call('host-local', 'ADD', large)).toMatchObject({ status: 0, stderr: '' });
  for (const text of [
    '',
    '{',
    '"\\u12',
    '[1,{"a":tru',
    `${'['.repeat(5000)}`,
    '-',
    '{"a":1e',
    '"\\',
    large.slice(0, -3),
  ]) {
    expect(call('bridge', 'ADD', text), text.slice(0, 50)).toMatchObject({ status: 1, stderr: '' });
  }
  const bytes = `export A=$'\\xff' B=$'\\xed\\xa0\\x80' C=$'ab\\xc3' D=$'abcdefgh\\xf0\\x9f\\x98' CNI_NETNS=$'/\\xff\\xfe'; exec -a "$0" "$@"`;
  expect(call('loopback', 'ADD', config(), bytes)).toMatchObject({ status: 1, stderr: '' });
  for (const closed of ['0<&-', '1>&-', '2>&-']) {
    const { stderr } = call('host-local', 'STATUS', config(), `exec -a "$0" "$@" ${closed}`);
    expect(stderr).not.toContain('Sanitizer');
  }
});

test.skipIf(!possible)('nor do signals while it waits', async () => {
  const network = join(folder, 'networks/n');
  mkdirSync(network, { recursive: true });
  const holder = spawn('flock', [join(network, 'lock'), 'sleep', '30'], { detached: true });
  try {
    while (!existsSync(join(network, 'lock'))) await new Promise((again) => setTimeout(again, 20));
    await new Promise((again) => setTimeout(again, 300));
    const child = spawn(program, { argv0: 'host-local', env: environment('ADD') });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    child.stdin.end(config());
    await new Promise((again) => setTimeout(again, 1500));
    child.kill();
    await new Promise((ended) => child.on('close', ended));
    expect(JSON.parse(text)).toMatchObject({ code: 11 });
  } finally {
    process.kill(-(holder.pid ?? 0));
  }
});

test.skipIf(!possible)(
  'nor does memory of all sizes',
  async () => {
    const { source } = await quickJs(ownCpu());
    const file = join(folder, 'memory-test');
    await run('gcc', [...checks, '-no-pie', '-I', source, join(sources, 'memory-test.c'), '-o', file]);
    expect(execFileSync(file, { encoding: 'utf8' })).toBe('ok\n');
  },
  120_000,
);
