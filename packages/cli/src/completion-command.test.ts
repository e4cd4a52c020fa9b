/** What the tool answers to shells that complete; the shells themselves: e2e/src/completion.test.ts. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCacheEntry } from '@cni-ts/testing/cache-entry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCnitool } from '../test/run-cnitool.ts';

let dir: string;
let env: Record<string, string>;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-completion-'));
  for (const one of ['net.d', 'bin', 'files']) mkdirSync(join(dir, one), { recursive: true });
  for (const name of ['web', 'storage']) {
    const list = { cniVersion: '1.0.0', name, plugins: [{ type: 'bridge' }, { type: 'portmap' }] };
    writeFileSync(join(dir, 'net.d', `${name}.conflist`), JSON.stringify(list));
  }
  writeFileSync(join(dir, 'net.d', '00-broken.conflist'), '{');
  writeFileSync(join(dir, 'files', 'weird.conflist'), '{}');
  for (const id of ['c1', 'c2', '$(touch pwned)', 'a b']) {
    const entry = { network: 'web', containerId: id, netns: `/run/netns/${id}`, config: '{}' };
    writeCacheEntry(join(dir, 'cache'), entry);
  }
  env = {
    PATH: `${join(dir, 'bin')}:${process.env.PATH}`,
    HOME: dir,
    NETCONFPATH: join(dir, 'net.d'),
    CNI_CACHE_DIR: join(dir, 'cache'),
    CNI_PATH: join(dir, 'bin'),
  };
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function ask(...argv: string[]) {
  return runCnitool(argv, {
    env,
    names: () => ['bridge', 'portmap', 'cnitool'],
  });
}

/** What is offered for these words, the last of them being written. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout, status, stderr } = await ask('__complete', '--', ...words);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0] ?? '']));
}

describe('offered are', () => {
  test('commands, and none that is hidden', async () => {
    const all = await offered('');
    expect(all).toEqual(expect.arrayContaining(['add', 'gc', 'validate', 'completion', 'help']));
    expect(all).not.toContain('__complete');
    expect(await offered('va')).toEqual(['validate']);
    expect(await offered('help', 'st')).toEqual(['status']);
  });

  test('the options of the command, but those that were given', async () => {
    const all = await offered('gc', 'web', '--');
    expect(all).toEqual(
      expect.arrayContaining(['--keep', '--all', '--dry-run', '--ifname', '--exec', '--help']),
    );
    const given = ['--all', '--dry-run'];
    expect(await offered('gc', ...given, '--')).toEqual(all.filter((one) => !given.includes(one)));
    expect(await offered('--')).toEqual(['--ifname', '--exec', '--version', '--help']);
    expect(await offered('nobody', '--')).toEqual(['--ifname', '--exec', '--help']);
  });

  test('networks that can be loaded, by their plugins', async () => {
    expect(await offered('add', '')).toEqual(['storage', 'web']);
    expect((await ask('__complete', '--', 'add', 'w')).stdout).toBe('web\tbridge + portmap\n');
    expect(await offered('-i', 'net1', 'add', 'w')).toEqual(['web']);
    expect(await offered('validate', 'w')).toEqual(['web', ':files']);
  });

  test('namespaces of attachments, containers with interface, plugins', async () => {
    expect(await offered('del', 'web', join('/run/netns/c'))).toEqual(
      expect.arrayContaining(['/run/netns/c1', '/run/netns/c2']),
    );
    expect(await offered('gc', 'web', '--keep', '')).toEqual(['c1/eth0', 'c2/eth0']);
    expect(await offered('gc', 'web', '--keep', 'c1/eth0', 'c')).toEqual(['c1/eth0', 'c2/eth0']);
    expect(await offered('version', 'po')).toEqual(['portmap']);
    expect(await offered('install', 'br')).toEqual(['bridge']);
    expect(await offered('ipam', '')).toEqual([
      'show',
      'why',
      'check',
      'release',
      'spaces',
      'fence',
      'import',
    ]);
    expect(await offered('ipam', 'show', 'w')).toEqual(['web']);
    expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  test('nothing that a shell would take for something else', async () => {
    const all = [...(await offered('del', 'web', '')), ...(await offered('gc', 'web', '--keep', ''))];
    expect(all.filter((word) => /[$( ]/.test(word))).toEqual([]);
  });
});

test('a shell that nobody knows is refused with those that are known', async () => {
  expect(await ask('completion', 'tcsh')).toMatchObject({
    status: 2,
    stderr: 'Error: there is no completion for tcsh: ask for bash, zsh, fish\n',
  });
});
