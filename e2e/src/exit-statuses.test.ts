/** What cnitool ends with, by one rule for all commands: 0 fine, 1 something was found (or not done), 2 a wrong call, 3 it
 *  could not look; and quietly where nobody reads any more. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verbs } from '@cni-ts/cli/verbs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ours } from './lab.ts';

const tool = join(ours, 'cnitool');
const shown = Object.entries(verbs).filter(([, { hidden }]) => hidden !== true);
/** As in the reference tool: these end with 1 where an argument is missing, or a network unknown. */
const ofReference = ['add', 'check', 'del', 'gc', 'status'];

let dir: string;
let env: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-exit-'));
  chmodSync(dir, 0o755);
  const folder = join(dir, 'net.d');
  mkdirSync(folder);
  const ipam = { type: 'host-local', dataDir: join(dir, 'state/networks'), subnet: '10.9.0.0/24' };
  const plugins = [{ type: 'bridge', bridge: 'cni-none0', ipam }];
  writeFileSync(join(folder, 'web.conflist'), JSON.stringify({ cniVersion: '1.1.0', name: 'web', plugins }));
  for (const name of ['results', 'networks']) mkdirSync(join(dir, 'state', name), { recursive: true });
  chmodSync(join(dir, 'state'), 0o700);
  env = {
    PATH: process.env.PATH ?? '',
    CNI_PATH: ours,
    NETCONFPATH: folder,
    CNI_CACHE_DIR: join(dir, 'state'),
    DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent/bus',
  };
});
afterAll(() => rmSync(dir, { recursive: true }));

/** In a network namespace of its own; `asNobody`: by a user without rights. */
function run(words: readonly string[], asNobody = false) {
  const user = asNobody ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] : [];
  const [program = '', ...args] = ['unshare', '--net', '--', ...user, tool, ...words];
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8', timeout: 60_000 });
  return { status, said: stdout + stderr };
}

test.each(shown.map(([name]) => name))('%s: an unknown option ends with 2', (name) => {
  const { status, said } = run([name, '--no-such-option']);
  expect([status, said]).toEqual([2, expect.stringContaining("unknown option '--no-such-option'")]);
});

test.each(shown.filter(([, { needs, least }]) => (least ?? needs.length) > 0).map(([name]) => name))(
  '%s: a missing argument ends with 2, or with 1 as in the reference',
  (name) => {
    const { status, said } = run([name]);
    expect([status, said]).toEqual([
      ofReference.includes(name) ? 1 : 2,
      expect.stringContaining('requires at least'),
    ]);
  },
);

test.each(shown.filter(([, { takes }]) => takes === undefined).map(([name]) => name))(
  '%s: an argument too many ends with 2',
  (name) => {
    expect(run([name, ...Array(9).fill('more')]).status).toBe(2);
  },
);

test.each([
  [['gc', 'web', '--keep', 'foo'], 2],
  [['plan', 'web', 'pid:x'], 2],
  [['add', 'nowhere', '/run/netns/none'], 1],
  [['del', 'nowhere', '/run/netns/none'], 1],
  [['check', 'nowhere', '/run/netns/none'], 1],
  [['status', 'nowhere'], 1],
  [['gc', 'nowhere'], 1],
  [['gc', 'nowhere', '--stale'], 3],
  [['plan', 'nowhere'], 3],
  [['validate', 'nowhere'], 3],
  [['validate', '/nowhere/x.conflist'], 3],
  [['repair', 'nowhere'], 3],
  [['version', 'nowhere'], 3],
  [['ipam', 'show', 'nowhere'], 3],
  [['ipam', 'what'], 2],
  [['explain', 'nowhere'], 3],
  [['doctor', 'nowhere'], 3],
  [['trace', 'nowhere', '--to', '192.0.2.1:80'], 3],
  [['timeline', '/nowhere/log'], 3],
  [['completion', 'csh'], 2],
] as const)('%j ends with %i: what is named is not there, or no such thing', (words, wanted) => {
  const { status, said } = run(words);
  expect([status, said]).toEqual([wanted, expect.stringMatching(/./)]);
});

test.each([
  [['list']],
  [['plan', 'web']],
  [['ipam', 'show']],
  [['explain', '10.9.0.1']],
  [['doctor']],
  [['inspect']],
  [['check', 'web', '/run/netns/none']],
  [['status', 'web']],
  [['gc', 'web', '--stale']],
])('%j without root ends with 3, for it may not look', ([...words]) => {
  const { status, said } = run(words, true);
  expect([status, said]).toEqual([3, expect.stringMatching(/permi/)]);
});

test('collect without root ends with 3 where it cannot write, and tells why', () => {
  const { status, said } = run(['collect', '-o', join(dir, 'bag.tar.gz')], true);
  expect([status, said]).toEqual([3, expect.stringMatching(/permission denied/)]);
});

test.each([
  ['help'],
  ['help validate'],
  ['version'],
  ['version web'],
  ['list'],
  ['validate'],
  ['plan web'],
  ['doctor'],
  ['inspect'],
  ['inspect --svg'],
  ['ipam show'],
  ['explain web'],
  ['gc web --dry-run'],
  ['completion bash'],
])('%s ends quietly where nobody reads what it says', (words) => {
  // The reader is gone before a word is said.
  const script = `{ sleep 0.2; "$0" ${words} 2>&3; echo "$?" >&3; } 3>&2 | true`;
  const args = ['--net', '--', 'sh', '-c', script, tool];
  const { stderr } = spawnSync('unshare', args, { env, encoding: 'utf8', timeout: 60_000 });
  expect(stderr).toMatch(/^(cnitool: .*\n)*[013]\n$/);
  expect(stderr).not.toContain('pipe');
});
