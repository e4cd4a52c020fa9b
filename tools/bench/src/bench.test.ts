/** The bench itself, on our plugins against themselves: that it measures, verifies and cleans up; no time is asserted. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const bin = join(root, 'dist/bin');
const built = existsSync(join(bin, 'bridge'));
const dir = mkdtempSync(join(tmpdir(), 'cni-bench-'));
afterAll(() => rmSync(dir, { recursive: true }));

function bench(...args: string[]) {
  return spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'bench.ts'), ...args],
    { encoding: 'utf8', timeout: 60_000 },
  );
}

test.skipIf(!built)('two rounds give a table, JSON and a chart, and leave no namespace', () => {
  const [json, svg] = [join(dir, 'out.json'), join(dir, 'out.svg')];
  const links = spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout;
  const only = ['--only', 'version,bridge', '--rounds', '2', '--theirs', bin];
  const { status, stdout, stderr } = bench(...only, '--json', json, '--svg', svg);
  expect({ status, stderr }).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('measured: VERSION'),
  });
  expect(stdout).toMatch(/ADD \(ms\) +[\d.]+/);
  const { machine, rows } = JSON.parse(readFileSync(json, 'utf8'));
  expect(machine).toContain('Linux');
  expect(rows[0]).toMatchObject({
    scenario: 'version',
    ours: { count: 2 },
    theirs: { count: 2 },
    floor: { count: 2 },
  });
  const of = (what: string) => rows.find((row: { of: string }) => row.of === what);
  expect(of('private memory').ours.median).toBeGreaterThan(0.5);
  expect(of('ADD').cpu.ours).toBeGreaterThan(0);
  expect(readFileSync(svg, 'utf8')).toContain('</svg>');
  expect(spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout).toBe(links);
});

test.skipIf(!built)(
  'a plugin whose result is not what is there fails the run, and it says what is missing',
  () => {
    for (const name of ['bridge', 'host-local']) copyFileSync(join(bin, name), join(dir, name));
    // Says it gave an address, and did nothing.
    const result = { cniVersion: '1.1.0', ips: [{ address: '10.22.0.9/16' }] };
    writeFileSync(join(dir, 'bridge'), `#!/bin/sh\ncat >&-\necho '${JSON.stringify(result)}'\n`);
    chmodSync(join(dir, 'bridge'), 0o755);
    const { status, stderr } = bench('--only', 'bridge', '--rounds', '1', '--theirs', dir);
    expect(status).toBe(1);
    expect(stderr).toContain(
      "bridge + host-local: after ADD by theirs: its address on the container's interface",
    );
  },
);

test.skipIf(!built)('what is not built is left out with a line', () => {
  const { status, stderr } = bench('--only', 'version', '--rounds', '1', '--theirs', tmpdir());
  expect(status).toBe(0);
  expect(stderr).toContain('left out: VERSION (not built: theirs: bridge)');
});

/** Whether a process runs whose command line has this word. */
function isRunning(word: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

test.skipIf(!built)('interrupted, it leaves no process behind', async () => {
  const rounds = '987654';
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'bench.ts'), '--only', 'version', '--rounds', rounds, '--theirs', bin],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    await new Promise<void>((begun) => {
      child.stderr.on('data', (chunk) => String(chunk).includes('Linux') && begun());
    });
    expect(isRunning(rounds)).toBe(true);
    child.kill('SIGINT');
    await new Promise((closed) => child.on('close', closed));
  } finally {
    child.kill('SIGKILL');
  }
  await expect.poll(() => isRunning(rounds), { timeout: 10_000 }).toBe(false);
});
