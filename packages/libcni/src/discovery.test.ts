import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadNetworkList, loadPluginConfig, NetworkNotFoundError, NoConfigsFoundError } from './discovery.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-net.d-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const put = (name: string, json: unknown) =>
  writeFileSync(join(dir, name), typeof json === 'string' ? json : JSON.stringify(json));
const conflist = (name: string, type = 'p') => ({ name, cniVersion: '1.1.0', plugins: [{ type }] });
const conf = (name: string, type = 'p') => ({ name, cniVersion: '0.4.0', type });
const typesOf = (name: string) => loadNetworkList(dir, name).plugins.map(({ type }) => type);

test('a missing folder holds no configurations (protocol 57)', () => {
  const none = join(dir, 'none');
  expect(() => loadNetworkList(none, 'x')).toThrow(`no net configurations found in ${none}`);
  expect(() => loadNetworkList(none, 'x')).toThrow(NoConfigsFoundError);
});

test('a folder with other networks only has none of this name (protocol 57)', () => {
  put('a.conflist', conflist('y'));
  expect(() => loadNetworkList(dir, 'x')).toThrow(`no net configuration with name "x" in ${dir}`);
  rmSync(join(dir, 'a.conflist'));
  put('a.conf', conf('y'));
  expect(() => loadNetworkList(dir, 'x')).toThrow(`no net configuration with name "x" in ${dir}`);
  expect(() => loadNetworkList(dir, 'x')).toThrow(NetworkNotFoundError);
});

test('a list wins over a single configuration of the same name (protocol 58)', () => {
  put('50-a.conflist', conflist('n', 'listed'));
  put('49-a.conf', conf('n', 'single'));
  expect(typesOf('n')).toEqual(['listed']);
});

test('a single configuration becomes a list of one plugin (protocol 58)', () => {
  put('49-a.conf', { ...conf('n', 'single'), disableCheck: true, mtu: 9 });
  const list = loadNetworkList(dir, 'n');
  expect(list).toMatchObject({ name: 'n', cniVersion: '0.4.0', disableCheck: false });
  expect(list.plugins.map(({ json }) => json)).toEqual([
    { name: 'n', cniVersion: '0.4.0', type: 'single', disableCheck: true, mtu: 9 },
  ]);
});

test('.conf and .json are searched together, by file name (protocol 59)', () => {
  put('b.json', conf('n', 'json'));
  put('a.conf', conf('n', 'conf'));
  expect(loadPluginConfig(dir, 'n').type).toBe('conf');
  put('0.json', conf('n', 'earlier'));
  expect(loadPluginConfig(dir, 'n').type).toBe('earlier');
});

test('a broken file before the match ends the search, one after it is never read (protocol 60)', () => {
  put('n.conflist', conflist('n'));
  put('zz-bad.conflist', '{');
  expect(typesOf('n')).toEqual(['p']);
  put('00-bad.conflist', '{');
  expect(() => typesOf('n')).toThrow(/^error parsing configuration list: /);
});

test('a caller that wants to be told of broken files gets past them', () => {
  put('00-bad.conflist', '{');
  put('n.conflist', conflist('n'));
  const told: string[] = [];
  const list = loadNetworkList(dir, 'n', { onUnloadable: (path) => told.push(path) });
  expect(list.name).toBe('n');
  expect(told).toEqual([join(dir, '00-bad.conflist')]);
});

test('an earlier list without plugins ends the search for another name (protocol 61)', () => {
  put('00.conflist', { name: 'other' });
  put('n.conflist', conflist('n'));
  expect(() => typesOf('n')).toThrow(/^no plugin configs found$/);
});

test('nested folders and other endings are not looked at (protocol 62)', () => {
  mkdirSync(join(dir, 'nested'));
  put('nested/n.conflist', conflist('n'));
  mkdirSync(join(dir, 'd.conflist'));
  put('x.CONF', '{');
  put('x.conflist.bak', '{');
  expect(() => loadNetworkList(dir, 'n')).toThrow(`no net configurations found in ${dir}`);
});

test('a list in a .conf file is a configuration without a type (protocol 63)', () => {
  put('a.conf', conflist('n'));
  expect(() => loadNetworkList(dir, 'n')).toThrow(/^error parsing configuration: missing 'type'$/);
});
