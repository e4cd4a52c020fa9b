import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeMetrics } from './metrics.ts';
import { options, parseListen, readSettings, usage, words } from './settings.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cni-agent-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const file = (text: string) => {
  const path = join(folder, 'config.json');
  writeFileSync(path, text);
  return path;
};

test('a flag counts before a variable, and that before the file', () => {
  const config = file(
    JSON.stringify({ node: 'f', prefix: '/f', endpoints: ['http://a:1', 'http://b:1'], period: 3 }),
  );
  const env = { CNI_TS_CONFIG: config, CNI_TS_NODE: 'e', CNI_TS_PREFIX: '/e' };
  const { settings } = readSettings(['--prefix', '/x'], env);
  expect(settings).toMatchObject({
    node: 'e',
    prefix: '/x/',
    period: 3,
    etcd: { endpoints: ['http://a:1', 'http://b:1'] },
  });
  expect(readSettings([], { NODENAME: 'k' }).settings).toMatchObject({
    node: 'k',
    prefix: '/cni/v1/',
    period: 10,
  });
  expect(readSettings([], {}).settings.etcd).toBe(undefined);
});

test('the password comes from a file or the environment, never from the command line', () => {
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'geheim\n');
  const args = ['--endpoints', 'http://a:1', '--username', 'u'];
  expect(readSettings([...args, '--password-file', secret], {}).settings.etcd?.password).toBe('geheim');
  expect(readSettings(args, { CNI_TS_PASSWORD: 'x' }).settings.etcd?.password).toBe('x');
  expect(() => readSettings(args, {})).toThrow('username u needs a password');
});

test.each([
  [['--nod', 'x'], "Unknown option '--nod'"],
  [['--node', 'a/b'], '"a/b" is no name for a node'],
  [['--log', 'loud'], 'log is "loud"'],
  [['--period', '0'], 'period is "0"'],
  [['--listen', 'here'], 'listen is "here"'],
  [['--endpoints', 'ftp://x'], 'is no endpoint of etcd'],
  [['--key-file', '/x'], 'belong together'],
  [['--config', '/nowhere.json'], '/nowhere.json cannot be read'],
  [['--password-file', '/nowhere'], '/nowhere cannot be read'],
])('%s is refused: %s', (argv, message) => {
  expect(() => readSettings(argv, {})).toThrow(message);
});

test('a file with what is no setting is refused by its name', () => {
  expect(() => readSettings(['--config', file('{"nod":"x"}')], {})).toThrow(
    /config\.json: .*names of the options/,
  );
  expect(() => readSettings(['--config', file('{')], {})).toThrow('config.json is no JSON');
});

test('an address to listen at may be of either family, or a path', () => {
  expect(parseListen(':9643')).toEqual({ port: 9643 });
  expect(parseListen('127.0.0.1:1')).toEqual({ host: '127.0.0.1', port: 1 });
  expect(parseListen('[::1]:1')).toEqual({ host: '::1', port: 1 });
  expect(parseListen('unix:/run/x')).toEqual({ path: '/run/x' });
});

test('usage and README have every option, word and metric', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  for (const name of [...Object.keys(options), ...Object.keys(words)]) expect(usage()).toContain(`--${name}`);
  for (const name of [...Object.keys(options), 'accept-restored', 'take-over'])
    expect(readme).toContain(`\`--${name}\``);
  for (const { name } of await makeMetrics().registry.getMetricsAsJSON())
    expect(readme).toContain(`\`${name}\``);
});
