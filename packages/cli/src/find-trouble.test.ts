/** `cnitool validate` and `list` as commands: which files, what exit status, what is printed where. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definePlugin, type Plugin } from '@cni-ts/skeleton/plugin';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { runCnitool } from '../test/run-cnitool.ts';
import { listSchema, validateSchema } from './report-schemas.ts';

let plugins: RecordingPlugins;
let env: Record<string, string | undefined>;
let folder: string;
beforeEach(() => {
  plugins = new RecordingPlugins('p1', 'p2');
  folder = join(plugins.dir, 'net.d');
  mkdirSync(folder);
  env = {
    PATH: process.env.PATH,
    NETCONFPATH: folder,
    CNI_PATH: plugins.path.join(':'),
    CNI_CACHE_DIR: join(plugins.dir, 'cache'),
  };
  for (const name of ['p1', 'p2']) {
    plugins.answer(name, 'VERSION', {
      stdout: { cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] },
    });
    plugins.answer(name, 'ADD', { stdout: { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] } });
  }
});
afterEach(() => plugins.remove());

const put = (name: string, json: unknown) => {
  const path = join(folder, name);
  writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json));
  return path;
};
const net = (name: string, more: object = {}) => ({
  cniVersion: '1.0.0',
  name,
  plugins: [{ type: 'p1', ...more }],
});

async function run(argv: readonly string[], inProcess?: (type: string) => Plugin | undefined) {
  return runCnitool(argv, {
    env,
    ...(inProcess && { inProcess }),
  });
}

describe('validate', () => {
  test("without arguments looks at the node's folder, and says which file would win", async () => {
    put('20-b.conflist', net('b'));
    put('10-a.conflist', net('a'));
    expect(await run(['validate'])).toEqual({
      status: 0,
      stdout: '0 errors, 0 warnings in 2 files; 10-a.conflist would win\n',
      stderr: '',
    });
    put('05-c.conflist', '{"name": "c",\n}');
    expect(await run(['validate', folder])).toEqual({
      status: 1,
      stdout:
        `05-c.conflist:2:1 error CNI1001 expected a member's name in double quotes, found "}"\n    }\n    ^\n` +
        '1 error, 0 warnings in 3 files; 10-a.conflist would win\n',
      stderr: '',
    });
  });

  test('looks at files wherever they are, also at several; notes alone are no reason to fail', async () => {
    const paths = [put('a.conflist', net('a')), put('b.conflist', { ...net('b'), Labels: 'mine' })];
    const both = await run(['validate', ...paths]);
    expect(both.stdout).toContain(`${paths[1]}:1:`);
    expect(both).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^.* note CNI1013 \/Labels: .*\n0 errors, 0 warnings, 1 note in 2 files\n$/s,
      ),
    });
  });

  test("a plugin that is not there is an error where its folder was named, or the file is the node's", async () => {
    const elsewhere = join(plugins.dir, 'x.conflist');
    writeFileSync(elsewhere, JSON.stringify(net('x', { type: 'p3' })));
    expect((await run(['validate', elsewhere])).status).toBe(1);
    expect((await run(['validate', elsewhere, '--offline'])).status).toBe(0);
    env.CNI_PATH = '';
    expect(await run(['validate', elsewhere])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('note CNI4001 /plugins/0/type: on this node: '),
    });
    expect((await run(['validate', elsewhere, '--node'])).status).toBe(1);
    expect((await run(['validate', put('y.conflist', net('y', { type: 'p3' }))])).status).toBe(1);
  });

  test('ends with 2 where it is called wrongly, and with 3 where it cannot look', async () => {
    expect((await run(['validate', '--bogus'])).status).toBe(2);
    expect(await run(['validate', join(folder, 'none.conflist')])).toEqual({
      status: 3,
      stdout: '',
      stderr: `Error: ${folder}/none.conflist: there is no such file or folder\n`,
    });
    expect(await run(['validate'])).toMatchObject({
      status: 3,
      stderr: `Error: there is no configuration in ${folder}\n`,
    });
  });

  test('files that no runtime reads are noted', async () => {
    put('a.conflist', net('a'));
    put('a.conflist.bak', '{');
    expect(await run(['validate'])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('a.conflist.bak:1:1 note CNI1041 '),
    });
  });

  test('of a network by its name looks at its files, then at its plugins', async () => {
    put('a.conflist', net('a', { capabilities: { mac: true } }));
    put('b.conflist', '{');
    expect(await run(['validate', 'a'])).toMatchObject({
      status: 0,
      stdout: 'network a: version 1.0.0, plugins p1, capabilities mac\n',
    });
    put('a.conflist', { ...net('a'), disablecheck: true });
    expect(await run(['validate', 'a'])).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('CNI1012 /disablecheck: '),
    });
  });

  test('--json prints what its schema says', async () => {
    put('a.conflist', net('a', { type: 'p3' }));
    const { status, stdout } = await run(['validate', '--json']);
    expect(status).toBe(1);
    expect(z.parse(validateSchema(), JSON.parse(stdout))).toMatchObject({
      errors: 1,
      files: ['a.conflist'],
      winner: { file: 'a.conflist', network: 'a' },
      findings: [{ file: 'a.conflist', code: 'CNI4001', pointer: '/plugins/0/type' }],
    });
  });

  test('asks a plugin that is part of the program by its schema, and another by VALIDATE', async () => {
    const inside = definePlugin({
      type: 'p1',
      config: () => z.object({ mtu: z.optional(z.int()), type: z.optional(z.string()) }),
      add: () => ({}),
      check() {},
      del() {},
      gc() {},
      status() {},
    });
    const finding = { code: 'CNI1014', level: 'error', path: ['limit'], message: 'too low' };
    plugins.answer('p2', 'VALIDATE', { stdout: { findings: [finding] } });
    put('a.conflist', {
      ...net('a'),
      plugins: [
        { type: 'p1', mtuu: 5 },
        { type: 'p2', limit: 1 },
      ],
    });
    const { stdout } = await run(['validate'], (type) => (type === 'p1' ? inside : undefined));
    expect(stdout).toContain('CNI1012 /plugins/0/mtuu: unknown key; did you mean mtu?');
    expect(stdout).toContain('CNI1014 /plugins/1/limit: too low');
  });
});

describe('a file that cannot be loaded', () => {
  test('hides none that comes after it, in any command, and is told', async () => {
    put('00-bad.conflist', '{"name": "net"');
    put('10-net.conflist', net('net'));
    for (const argv of [
      ['add', 'net', '/ns'],
      ['check', 'net', '/ns'],
      ['del', 'net', '/ns'],
      ['status', 'net'],
      ['validate', 'net'],
      ['version', 'net'],
    ]) {
      expect(await run(argv), argv[0]).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(
          /^cnitool: .*00-bad\.conflist was skipped: error parsing configuration list: line 1, column 15: /,
        ),
      });
    }
  });

  test('is the reason where nobody else has the network', async () => {
    put('00-bad.conflist', '{');
    expect(await run(['add', 'net', '/ns'])).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /00-bad\.conflist cannot be read\nError: error parsing configuration list: /,
      ),
    });
  });
});

describe('list', () => {
  test('tells files in order, which wins and why, attachments and plugins', async () => {
    put('30-old.conf', { cniVersion: '0.4.0', name: 'old', type: 'p2' });
    put('20-net.conflist', {
      ...net('net'),
      plugins: [{ type: 'p1', ipam: { type: 'p2' } }, { type: 'p3' }],
    });
    put('10-bad.conflist', '{"name": "bad"');
    put('40-net.conflist', net('net'));
    const only = { ...net('net'), plugins: [{ type: 'p1' }] };
    put('20-net.conflist', only);
    expect((await run(['add', 'net', '/ns'])).status).toBe(0);
    put('20-net.conflist', { ...only, plugins: [{ type: 'p1', ipam: { type: 'p2' } }, { type: 'p3' }] });
    const { status, stdout } = await run(['list', '--why']);
    expect(status).toBe(1);
    const [at] = plugins.path;
    expect(stdout.replace(/cnitool-[0-9a-f]{20}/, 'ID')).toBe(
      '✗ 10-bad.conflist line 1, column 15: expected a comma or }, found the end (skipped)\n' +
        '▶ 20-net.conflist net p1+p3 1.0.0 1 attachment: wins, for it is the first by name that can be loaded\n' +
        '  30-old.conf old p2 0.4.0 0 attachments: it comes after 20-net.conflist\n' +
        '  40-net.conflist net p1 1.0.0 1 attachment: network net is defined by 20-net.conflist, which comes before it\n' +
        '\nattachments:\n' +
        '✗ net ID/eth0 10.0.0.2/24 /ns is gone\n' +
        '\nplugins:\n' +
        `  p1 ${at}/p1 0.4.0, 1.0.0\n` +
        `  p2 ${at}/p2 0.4.0, 1.0.0\n` +
        `✗ p3 it is in none of ${at}\n`,
    );
  });

  test('--json prints what its schema says', async () => {
    put('a.conflist', net('a'));
    const { status, stdout } = await run(['list', '--json']);
    expect(status).toBe(0);
    expect(z.parse(listSchema(), JSON.parse(stdout))).toMatchObject({
      folder,
      files: [{ file: 'a.conflist', network: 'a', plugins: ['p1'], cniVersion: '1.0.0', wins: true }],
      attachments: [],
    });
  });

  test('of an empty folder, or none, says that there is nothing', async () => {
    rmSync(folder, { recursive: true });
    expect(await run(['list'])).toEqual({
      status: 0,
      stdout: `there is no configuration in ${folder}\n`,
      stderr: '',
    });
  });
});
