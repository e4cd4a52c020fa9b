/** What `repair` and `plan` tell of plugins that are not ours, of what is gone, and of what is not known. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCnitool } from '../test/run-cnitool.ts';
import { planSchema, repairSchema } from './report-schemas.ts';

const own = '/proc/self/ns/net';
let plugins: RecordingPlugins;
let env: Record<string, string | undefined>;

beforeEach(() => {
  plugins = new RecordingPlugins('bridge', 'calico');
  const confDir = join(plugins.dir, 'net.d');
  mkdirSync(confDir);
  env = {
    PATH: process.env.PATH,
    NETCONFPATH: confDir,
    CNI_PATH: plugins.path.join(':'),
    CNI_CACHE_DIR: join(plugins.dir, 'cache'),
  };
  const list = { name: 'net', cniVersion: '1.1.0', plugins: [{ type: 'bridge' }, { type: 'calico' }] };
  writeFileSync(join(confDir, 'net.conflist'), JSON.stringify(list));
  // As one of another build of ours answers.
  plugins.answer('bridge', 'VALIDATE', { stdout: { findings: [] } });
});
afterEach(() => plugins.remove());

async function run(...argv: string[]) {
  return runCnitool(argv, {
    env,
  });
}

const result = { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] };

async function attached(netns: string): Promise<string> {
  for (const one of ['bridge', 'calico']) plugins.answer(one, 'ADD', { stdout: result });
  const added = await run('add', 'net', netns);
  expect(added.status, added.stderr).toBe(0);
  plugins.taken();
  return netns;
}

test('repair has ours in a chain repaired by what they were added with, and tells another', async () => {
  await attached(own);
  plugins.answer('bridge', 'REPAIR', { stdout: { repaired: ['the route was gone'] } });
  const { status, stdout } = await run('repair');
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^~ net cnitool-\S+\/eth0 repaired\n {4}bridge: the route was gone\n {4}calico: \S+\/calico is not ours: it can neither tell nor repair\n1 attachment: 0 fine, 1 repaired\n$/,
  );
  const call = plugins.calls().findLast(({ command }) => command === 'REPAIR');
  expect(call?.request).toMatchObject({ name: 'net', cniVersion: '1.1.0', prevResult: result });
  expect(call?.env).toMatchObject({ CNI_NETNS: own, CNI_IFNAME: 'eth0' });
  expect(plugins.taken()).toEqual(['bridge VALIDATE', 'bridge REPAIR']);
});

test('repair --plan asks by CHECK, which changes nothing, and ends with 1 where something differs', async () => {
  await attached(own);
  expect(await run('repair', '--plan', 'net')).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/\n1 attachment: 1 fine\n$/),
  });
  plugins.answer('bridge', 'CHECK', { stdout: { code: 999, msg: 'no route' }, status: 1 });
  const { status, stdout } = await run('repair', '--plan');
  expect(status).toBe(1);
  expect(stdout).toMatch(/^✗ net \S+ CNI3040 is not as it was made → cnitool repair\n {4}bridge: no route\n/);
  expect(stdout).toMatch(/\n1 attachment: 0 fine, 1 to repair\n$/);
  expect(plugins.taken()).not.toContain('bridge REPAIR');
});

test('an attachment that fails is told, does not stop the others, and the exit status is 1', async () => {
  await attached(own);
  await attached('/proc/thread-self/ns/net');
  plugins.answer('bridge', 'REPAIR', { stdout: { code: 999, msg: 'no bridge' }, status: 1 });
  const { status, stdout } = await run('repair');
  expect(status).toBe(1);
  expect(stdout.match(/CNI3041 could not be repaired/g)).toHaveLength(2);
  expect(stdout).toContain('    bridge could not be repaired: no bridge\n');
  expect(stdout).toMatch(/\n2 attachments: 0 fine, 2 failed\n$/);
});

test('an attachment whose namespace is gone is told with its cure, and its plugins are left alone', async () => {
  await attached('/nonexistent/netns');
  const { status, stdout } = await run('repair');
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: expect.stringMatching(
      /^✗ net cnitool-\S+\/eth0 CNI3044 its namespace \/nonexistent\/netns is gone → cnitool gc net --stale\n1 attachment: 0 fine, 1 without a namespace\n$/,
    ),
  });
  expect(plugins.taken()).toEqual([]);
});

test('an attachment of which too little is remembered is told', async () => {
  await attached(own);
  const [name = ''] = readdirSync(join(plugins.dir, 'cache/results'));
  const path = join(plugins.dir, 'cache/results', name);
  const entry = JSON.parse(readFileSync(path, 'utf8'));
  for (const broken of [{ netns: '' }, { config: Buffer.from('{"name": 5}').toString('base64') }]) {
    writeFileSync(path, JSON.stringify({ ...entry, ...broken }));
    expect((await run('repair')).stdout).toMatch(
      /^\? net \S+ CNI3043 .* → .*\n1 attachment: 0 fine, 1 not known well enough\n$/,
    );
  }
  expect(plugins.taken()).toEqual([]);
});

test('--json of both is as their schemas say', async () => {
  await attached(own);
  plugins.answer('bridge', 'REPAIR', { stdout: { repaired: [] } });
  expect(() => repairSchema().parse(JSON.parse('{}'))).toThrow();
  const repaired = await run('repair', '--json');
  expect(repairSchema().parse(JSON.parse(repaired.stdout))).toMatchObject({ fine: 1, repaired: 0 });
  const changes = [{ sign: '+', text: 'link veth1 (host)' }];
  plugins.answer('bridge', 'PLAN', { stdout: { changes, result } });
  const planned = await run('plan', 'net', own, '--json');
  expect(planSchema().parse(JSON.parse(planned.stdout))).toMatchObject({
    changes: 1,
    isWhole: false,
    plugins: [
      { type: 'bridge', state: 'planned', changes },
      { type: 'calico', state: 'foreign' },
    ],
  });
});

test('plan tells a plugin that is not ours, and goes on with what can be known', async () => {
  plugins.answer('bridge', 'PLAN', { stdout: { changes: [{ sign: '+', text: 'link veth1' }], result } });
  const { status, stdout } = await run('plan', 'net', own);
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^\+ link veth1\n\? CNI3042 calico: \S+ is not ours: what it would make cannot be known\n1 change, and what 1 plugin would do besides, nothing was touched\n$/,
  );
  expect(plugins.taken()).toEqual(['bridge VALIDATE', 'bridge PLAN']);
});

test('plan hands the result of one dry run to the next', async () => {
  plugins.install('portmap');
  plugins.answer('portmap', 'VALIDATE', { stdout: { findings: [] } });
  const list = { name: 'net', cniVersion: '1.1.0', plugins: [{ type: 'bridge' }, { type: 'portmap' }] };
  writeFileSync(join(plugins.dir, 'net.d', 'net.conflist'), JSON.stringify(list));
  plugins.answer('bridge', 'PLAN', { stdout: { changes: [], result } });
  plugins.answer('portmap', 'PLAN', { stdout: { changes: [], result } });
  expect((await run('plan', 'net', own)).stdout).toBe('0 changes, nothing was touched\n');
  expect(plugins.calls().at(-1)?.request).toMatchObject({ prevResult: result });
});

test('plan ends with 1 where ADD would fail, in the words of the plugin', async () => {
  plugins.answer('bridge', 'PLAN', { stdout: { code: 11, msg: 'no address left' }, status: 1 });
  expect(await run('plan', 'net', own)).toMatchObject({
    status: 1,
    stdout:
      '✗ CNI3045 bridge: ADD would fail: no address left\n' +
      'ADD would fail and take back what it had made; nothing was touched\n',
  });
});

test('a program of the name of one of ours that does not answer as ours is not asked for more', async () => {
  plugins.answer('bridge', 'VALIDATE', {
    stdout: { code: 4, msg: 'unknown CNI_COMMAND: VALIDATE' },
    status: 1,
  });
  const { stdout } = await run('plan', 'net', own);
  expect(stdout).toMatch(/^\? CNI3042 bridge: /);
  expect(plugins.taken()).toEqual(['bridge VALIDATE']);
});

test('a network that nobody knows cannot be repaired; one that has no attachments is fine', async () => {
  expect(await run('repair', 'nte')).toEqual({
    status: 3,
    stdout: '',
    stderr: 'Error: no network "nte" is configured or remembered here\n',
  });
  expect(await run('repair', 'net')).toMatchObject({
    status: 0,
    stderr: 'cnitool: nothing is remembered as attached to net\n',
  });
});
