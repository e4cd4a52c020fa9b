/** The script that enters a system, on one that is a shell and what it is linked with. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownNamespaces } from './system.ts';

const isRoot = process.getuid?.() === 0;
const root = mkdtempSync(join(tmpdir(), 'cni-fresh-'));
beforeAll(() => {
  for (const program of ['bash', 'cat', 'ls', 'sleep', 'touch', 'mount', 'umount']) {
    const file = execFileSync('sh', ['-c', `readlink -f $(command -v ${program})`], {
      encoding: 'utf8',
    }).trim();
    const linked = spawnSync('ldd', [file], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
    for (const library of linked) put(library, library);
    put(file, `/bin/${program}`);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

function put(from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

const inside = (script: string) => [
  ...ownNamespaces,
  ...[join(import.meta.dirname, '../enter'), root, '/bin/bash', '-c', `export PATH=/bin; ${script}`],
];

function run(script: string) {
  const [program = '', ...args] = inside(script);
  return spawnSync(program, args, { encoding: 'utf8' });
}

/** Mounts of this test's own namespace that have to do with the folder. */
const mounts = () =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(root));

test.runIf(isRoot)('in there is nothing of the machine but its kernel and its network', () => {
  // Not what /sys has: that may be of another namespace of the network, in which it was mounted.
  const links = readFileSync('/proc/thread-self/net/dev', 'utf8').match(/^ *[^:|]+(?=:)/gm) ?? [];
  const { status, stdout, stderr } = run('ls -d /*; cat /proc/1/comm; ls /sys/class/net; : >/dev/null');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const libraries = execFileSync('ls', [root], { encoding: 'utf8' }).trim().split('\n');
  expect(stdout).toBe(
    `${libraries.map((name) => `/${name}`).join('\n')}\nbash\n${links
      .map((name) => `${name.trim()}\n`)
      .sort()
      .join('')}`,
  );
  expect(mounts()).toEqual([]);
});

test.runIf(isRoot)(
  'the exit status is that of the command, and a device made in there is not the machine’s',
  () => {
    expect(run('touch /dev/made-in-a-test; exit 7').status).toBe(7);
    expect(existsSync('/dev/made-in-a-test')).toBe(false);
  },
);

test.runIf(isRoot)('killed, it leaves no mount and no process', async () => {
  const [program = '', ...args] = inside(
    'mount -t tmpfs tmpfs /tmp; echo ready; sleep 987 & sleep 987; sleep 987',
  );
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((ready) => child.stdout.once('data', ready));
  await expect.poll(sleepers).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await expect.poll(sleepers, { timeout: 10_000 }).toBe(0);
  expect(mounts()).toEqual([]);
  rmSync(join(root, 'tmp'), { recursive: true });
  expect(existsSync(join(root, 'bin/bash'))).toBe(true);
});

function sleepers(): number {
  return Number(spawnSync('pgrep', ['-fc', '^sleep 987$'], { encoding: 'utf8' }).stdout);
}
