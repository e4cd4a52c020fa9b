/** The bench itself, on our plugins against themselves: that it measures, verifies and cleans up; no time is asserted. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
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

/** A folder of our plugins in which `bridge` is a script of the test's: BRIDGE in it is the real one. */
function peers(name: string, script: string): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  for (const plugin of readdirSync(bin)) symlinkSync(join(bin, plugin), join(folder, plugin));
  rmSync(join(folder, 'bridge'));
  writeFileSync(join(folder, 'bridge'), `#!/bin/bash\n${script.replaceAll('BRIDGE', join(bin, 'bridge'))}`);
  chmodSync(join(folder, 'bridge'), 0o755);
  return folder;
}

test.skipIf(!built)('calls of a peer that fail are counted, end nothing, and have no figure', () => {
  // Its DEL fails and succeeds when it is called again, as that of Go's bridge with nftables does.
  const theirs = peers(
    'failing',
    `failed=/run/failed-once
    if [ "$CNI_COMMAND" = DEL ] && mkdir $failed 2>&-; then echo '{"msg": "not now"}'; exit 1; fi
    [ "$CNI_COMMAND" != DEL ] || rmdir $failed
    exec BRIDGE`,
  );
  const [json, svg] = [join(dir, 'failing.json'), join(dir, 'failing.svg')];
  const only = ['--only', 'bridge-static,size', '--rounds', '2', '--theirs', theirs];
  const { status, stdout, stderr } = bench(...only, '--json', json, '--svg', svg);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { rows, peers: version } = JSON.parse(readFileSync(json, 'utf8'));
  const row = (of: string) => rows.find((one: { of: string }) => one.of === of);
  expect(row('DEL')).toMatchObject({
    ours: { count: 2 },
    failures: { theirs: { count: 2, made: 2, mended: 2 } },
  });
  expect(row('DEL')).not.toHaveProperty('theirs');
  expect(row('ADD')).toMatchObject({ ours: { count: 2 }, theirs: { count: 2 } });
  expect(stdout).toMatch(/DEL \(ms\) .* failed 2 of 2/);
  expect(stdout).toContain("bridge + static: 2 of 2 DEL of Go's failed, and succeeded when called again");
  expect(stdout).toContain('on disk (MB)');
  expect(readFileSync(svg, 'utf8')).toContain('Go failed 2 of 2');
  expect(version).toContain(theirs);
});

test.skipIf(!built)('an ADD that fails in a crowd is counted too', () => {
  const refuse = `if [ "$CNI_COMMAND" = ADD ]; then echo '{"msg": "no"}'; exit 1; fi; exec BRIDGE`;
  const json = join(dir, 'crowded.json');
  const only = ['--only', 'parallel-1', '--rounds', '2', '--theirs', peers('crowded', refuse)];
  const { status, stdout, stderr } = bench(...only, '--json', json);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { rows } = JSON.parse(readFileSync(json, 'utf8'));
  const rate = rows.find((one: { of: string }) => one.of === 'ADD rate');
  expect(rate).toMatchObject({ ours: { count: 2 }, failures: { theirs: { count: 2, made: 2 } } });
  expect(stdout).toMatch(/ADD rate .* failed 2 of 2/);
});

test.skipIf(!built)(
  'what was measured is written at once: a later interruption does not lose it',
  async () => {
    const json = join(dir, 'early.json');
    const args = ['--only', 'version,host-local-60000', '--rounds', '30', '--theirs', 'none', '--json', json];
    const child = spawn(process.execPath, [join(import.meta.dirname, 'bench.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    try {
      await expect.poll(() => existsSync(json), { timeout: 30_000 }).toBe(true);
      child.kill('SIGINT');
      expect(await new Promise((closed) => child.on('close', closed))).toBe(130);
    } finally {
      child.kill('SIGKILL');
    }
    const { rows } = JSON.parse(readFileSync(json, 'utf8'));
    expect(rows).toMatchObject([{ scenario: 'version', ours: { count: 30 } }]);
    expect(stdout).toContain('VERSION (ms)');
    expect(stderr).toContain('stopped after 1 of 2 scenarios');
  },
);

test.skipIf(!built)('a scenario that breaks loses none of the others', () => {
  // A file in place of a plugin: it cannot even be started.
  const theirs = peers('broken', 'exec BRIDGE');
  rmSync(join(theirs, 'macvlan'));
  writeFileSync(join(theirs, 'macvlan'), '');
  const json = join(dir, 'broken.json');
  const only = ['--only', 'macvlan,ptp', '--rounds', '1', '--theirs', theirs];
  const { status } = bench(...only, '--json', json);
  const { rows } = JSON.parse(readFileSync(json, 'utf8'));
  const row = (scenario: string) => rows.find((one: { scenario: string }) => one.scenario === scenario);
  expect(status).toBe(0);
  expect(row('macvlan')).toMatchObject({ of: 'ADD', failures: { theirs: { count: 1, made: 1 } } });
  expect(row('ptp')).toMatchObject({ of: 'ADD', theirs: { count: 1 } });
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
