import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compile } from './executable.ts';
import { bundleForEngine } from './javascript.ts';
import { ownCpu } from './quickjs.ts';

const source = fileURLToPath(new URL('fixtures/slow-plugin.ts', import.meta.url));

/** What plugins are run by: Node from source, and the engine of the executables. */
const commands: Record<string, string[]> = { Node: [process.execPath, source], 'the engine': [] };

let built: string;
beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'plugin-process-'));
  const program = join(built, 'slow');
  await compile(await bundleForEngine(source), program, ownCpu(), join(built, 'work'));
  commands['the engine'] = [program];
}, 120_000);
afterAll(() => rmSync(built, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'main-'));
  return () => rmSync(folder, { recursive: true });
});

const config = (more: object = {}) => JSON.stringify({ name: 'n', cniVersion: '1.1.0', ...more });

function start(runtime: string, command: string, shell = 'exec "$@"'): ChildProcess {
  return spawn('/bin/sh', ['-c', shell, 'sh', ...(commands[runtime] ?? [])], {
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '/none',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/x',
      CNI_ARGS: folder,
      PATH: process.env.PATH ?? '',
    },
  });
}

async function end(child: ChildProcess) {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (...how) => resolve(how)),
  );
  return { status, signal, stdout, stderr };
}

async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(5);
}

describe.each(Object.keys(commands))('run by %s', (runtime) => {
  test('prints the result and ends', async () => {
    const child = start(runtime, 'ADD');
    child.stdin?.end(config({ routes: 1 }));
    const { status, stdout } = await end(child);
    expect([status, JSON.parse(stdout)]).toEqual([
      0,
      { cniVersion: '1.1.0', routes: [{ dst: '10.0.0.0/32' }] },
    ]);
  });

  test('answers VERSION while stdin stays open (protocol 4)', async () => {
    const { status, stdout } = await end(start(runtime, 'VERSION'));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\{"cniVersion":"1\.1\.0","supportedVersions":\[.*\]\}\n$/);
  });

  test('exits with 1 after an error, which is on stdout alone', async () => {
    const child = start(runtime, 'ADD');
    child.stdin?.end(config({ blockMs: 'x' }));
    expect(await end(child)).toEqual({
      status: 1,
      signal: null,
      stdout:
        '{\n    "code": 7,\n    "msg": "failed to load netconf: blockMs: expected a number, got the string \\"x\\""\n}',
      stderr: '',
    });
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'an ADD that gets %s while it works is undone',
    async (signal) => {
      const child = start(runtime, 'ADD');
      child.stdin?.end(config({ blockMs: 300 }));
      await appears(join(folder, 'made'));
      child.kill(signal);
      const { status, stdout } = await end(child);
      expect([status, JSON.parse(stdout)]).toEqual([
        1,
        { code: 11, msg: `interrupted by ${signal}; everything this ADD had made was undone` },
      ]);
      expect(existsSync(join(folder, 'made'))).toBe(false);
    },
  );

  test('a DEL that gets SIGTERM finishes', async () => {
    const child = start(runtime, 'DEL');
    child.stdin?.end(config({ blockMs: 300 }));
    await appears(join(folder, 'deleting'));
    child.kill('SIGTERM');
    expect(await end(child)).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
  });

  test('a plugin that still waits for its configuration can be stopped', async () => {
    const child = start(runtime, 'ADD');
    await sleep(200);
    child.kill('SIGTERM');
    expect((await end(child)).signal).toBe('SIGTERM');
  });

  test('an ADD whose result nobody reads is undone', async () => {
    const child = start(runtime, 'ADD');
    child.stdout?.destroy();
    child.stdin?.end(config({ routes: 5000 }));
    const { status, stderr } = await end(child);
    expect(status).toBe(1);
    expect(stderr).toContain('Error writing error JSON to stdout: ');
    expect(existsSync(join(folder, 'made'))).toBe(false);
  });

  test('configuration and result pass complete through pipes that do not block', async () => {
    const perl = 'fcntl($_, F_SETFL, O_NONBLOCK | fcntl($_, F_GETFL, 0)) for STDIN, STDOUT; exec @ARGV';
    const child = start(runtime, 'ADD', `cat | perl -MFcntl -e '${perl}' "$@" | (sleep 0.2; cat)`);
    const large = config({ routes: 20_000, padding: 'x'.repeat(300_000) });
    child.stdin?.write(large.slice(0, 1000));
    await sleep(150);
    child.stdin?.end(large.slice(1000));
    const { stdout } = await end(child);
    expect(JSON.parse(stdout).routes).toHaveLength(20_000);
  });
});
