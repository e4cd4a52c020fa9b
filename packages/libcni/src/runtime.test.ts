import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCniError } from '@cni-ts/spec/cni-error';
import { printResult } from '@cni-ts/spec/result-version';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RuntimeConf } from './attachment.ts';
import { parseNetworkList } from './network-list.ts';
import { parsePluginConfig } from './plugin-config.ts';
import { CheckNotSupportedError, Runtime } from './runtime.ts';

const conf: RuntimeConf = { containerId: 'c1', netns: '/run/netns/c1', ifname: 'eth0' };

let plugins: RecordingPlugins;
let runtime: Runtime;
let logged: string[];
beforeEach(() => {
  plugins = new RecordingPlugins('p1', 'p2', 'p3');
  logged = [];
  const cacheDir = join(plugins.dir, 'cache');
  runtime = new Runtime({ path: plugins.path, cacheDir, log: (line) => logged.push(line) });
  for (const [index, name] of ['p1', 'p2', 'p3'].entries())
    plugins.answer(name, 'ADD', { stdout: result(index + 1) });
});
afterEach(() => plugins.remove());

const result = (n: number, cniVersion = '1.1.0') => ({ cniVersion, ips: [{ address: `10.0.0.${n}/24` }] });
const threePlugins = [{ type: 'p1' }, { type: 'p2' }, { type: 'p3' }];
const list = (json: object = {}) =>
  parseNetworkList(
    Buffer.from(JSON.stringify({ name: 'n', cniVersion: '1.1.0', plugins: threePlugins, ...json })),
  );
const resultsDir = () => join(plugins.dir, 'cache', 'results');
const cacheFile = () => join(resultsDir(), 'n-c1-eth0');
const cacheNow = (content: unknown) => {
  mkdirSync(resultsDir(), { recursive: true });
  writeFileSync(cacheFile(), typeof content === 'string' ? content : JSON.stringify(content));
};
const prevResults = () => plugins.calls().map(({ request }) => request.prevResult);
/** A plugin's failure, as it prints it. */
const failure = (code: number, msg: string, details?: string) => ({
  status: 1,
  stdout: { code, msg, details },
});

describe('ADD', () => {
  test('hands each plugin the result of the one before and remembers the last (protocol 70)', async () => {
    const added = await runtime.addNetworkList(list(), conf);
    expect(prevResults()).toEqual([undefined, result(1), result(2)]);
    expect(JSON.parse(printResult(added!))).toEqual(result(3));
    expect(readdirSync(resultsDir())).toEqual(['n-c1-eth0']);
    expect(statSync(cacheFile()).mode & 0o777).toBe(0o600);
    expect(statSync(resultsDir()).mode & 0o777).toBe(0o700);
  });

  test('returns and chains a result in the version the plugin printed (protocol 88)', async () => {
    const old = { cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.3/24' }], dns: {} };
    plugins.answer('p2', 'ADD', { stdout: old });
    plugins.answer('p3', 'ADD', { stdout: old });
    const added = await runtime.addNetworkList(list(), conf);
    expect(added?.cniVersion).toBe('0.4.0');
    expect(prevResults()[2]).toEqual(old);
    plugins.taken();
    await runtime.delNetworkList(list(), conf);
    expect(prevResults()[0]).toEqual({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.3/24' }] });
  });

  test('sends an empty version for a list without one and reads the result as 0.1.0 (protocol 74)', async () => {
    plugins.answer('p1', 'ADD', { stdout: { ip4: { ip: '10.0.0.2/24' } } });
    const added = await runtime.addNetworkList(
      list({ cniVersion: undefined, plugins: [{ type: 'p1' }] }),
      conf,
    );
    expect(plugins.calls()[0]?.request.cniVersion).toBe('');
    expect(added?.cniVersion).toBe('0.1.0');
  });

  test('sets all six variables, whatever was inherited (protocol 75)', async () => {
    const env = { ...process.env, CNI_IFNAME: 'stale', CNI_COMMAND: 'stale', OTHER: 'kept' };
    const own = new Runtime({ path: [...plugins.path, '/none'], cacheDir: join(plugins.dir, 'cache'), env });
    await own.addNetworkList(list(), {
      ...conf,
      args: [
        ['A', '1'],
        ['B', 'x=y'],
      ],
    });
    await own.statusNetworkList(list());
    const [first] = plugins.calls();
    expect(first?.env).toMatchObject({
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: '/run/netns/c1',
      CNI_IFNAME: 'eth0',
      CNI_ARGS: 'A=1;B=x=y',
      CNI_PATH: `${plugins.path[0]}:/none`,
      OTHER: 'kept',
    });
    expect(plugins.calls().at(-1)?.env).toMatchObject({
      CNI_COMMAND: 'STATUS',
      CNI_CONTAINERID: '',
      CNI_NETNS: '',
      CNI_IFNAME: '',
      CNI_ARGS: '',
    });
  });

  test('stops at a failing plugin, keeps its code and remembers nothing (protocol 76)', async () => {
    plugins.answer('p2', 'ADD', failure(11, 'm', 'd'));
    const error = await runtime.addNetworkList(list(), conf).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: 'plugin type="p2" failed (add): m; d' });
    expect(findCniError(error)).toMatchObject({ code: 11, message: 'm', details: 'd' });
    expect(plugins.taken()).toEqual(['p1 ADD', 'p2 ADD']);
    expect(existsSync(cacheFile())).toBe(false);
  });

  test('refuses a bad container id or interface name before anything runs (protocol 78)', async () => {
    const add = (over: Partial<RuntimeConf>) => runtime.addNetworkList(list(), { ...conf, ...over });
    await expect(add({ containerId: '%%' })).rejects.toThrow(
      /^plugin type="p1" failed \(add\): invalid characters in containerID; %%$/,
    );
    await expect(add({ ifname: '' })).rejects.toThrow(
      /^plugin type="p1" failed \(add\): interface name is empty$/,
    );
    const missing = await add({ containerId: '' }).catch((thrown: unknown) => thrown);
    expect(missing).toMatchObject({ message: 'plugin type="p1" failed (add): missing containerID' });
    expect(findCniError(missing)?.code).toBe(3);
    expect(plugins.taken()).toEqual([]);
  });

  test('tells of a missing plugin before a bad container id (protocol 79)', async () => {
    const absent = list({ plugins: [{ type: 'absent' }] });
    await expect(runtime.addNetworkList(absent, { ...conf, containerId: '%%' })).rejects.toThrow(
      `plugin type="absent" failed (add): failed to find plugin "absent" in path [${plugins.path[0]}]`,
    );
  });

  test('whose result is not one fails (protocol 89)', async () => {
    const one = list({ plugins: [{ type: 'p1' }] });
    plugins.answer('p1', 'ADD', { stdout: '' });
    await expect(runtime.addNetworkList(one, conf)).rejects.toThrow(
      /^plugin type="p1" failed \(add\): failed to unmarshal raw result: /,
    );
    plugins.answer('p1', 'ADD', { stdout: { cniVersion: '9.9.9' } });
    await expect(runtime.addNetworkList(one, conf)).rejects.toThrow(
      /^plugin type="p1" failed \(add\): unsupported CNI result version "9\.9\.9"$/,
    );
    plugins.answer('p1', 'ADD', { stdout: 'null' });
    expect((await runtime.addNetworkList(one, conf))?.cniVersion).toBe('1.1.0');
  });

  test('of a list without plugins returns nothing and is remembered without a result', async () => {
    const none = list({ plugins: undefined });
    expect(await runtime.addNetworkList(none, conf)).toBeUndefined();
    expect(JSON.parse(readFileSync(cacheFile(), 'utf8'))).not.toHaveProperty('result');
  });

  test('fails when it cannot be remembered', async () => {
    writeFileSync(join(plugins.dir, 'cache'), 'a file where the folder should be');
    await expect(runtime.addNetworkList(list(), conf)).rejects.toThrow(
      /^failed to set network "n" cached result: /,
    );
  });

  test('of a single plugin uses its own name and version, and its errors are its own', async () => {
    const single = parsePluginConfig(Buffer.from('{"name":"n","cniVersion":"1.0.0","type":"p1"}'));
    await runtime.addNetwork(single, conf);
    expect(plugins.calls()[0]?.request).toEqual({ name: 'n', cniVersion: '1.0.0', type: 'p1' });
    plugins.answer('p1', 'DEL', failure(11, 'm', 'd'));
    await expect(runtime.delNetwork(single, conf)).rejects.toMatchObject({
      code: 11,
      message: 'm',
      details: 'd',
    });
    expect(existsSync(cacheFile())).toBe(true);
  });
});

describe('DEL', () => {
  test('runs last to first with the remembered result, then forgets; again without it (protocol 80)', async () => {
    await runtime.addNetworkList(list(), conf);
    plugins.taken();
    await runtime.delNetworkList(list(), conf);
    expect(prevResults()).toEqual([result(3), result(3), result(3)]);
    expect(plugins.taken()).toEqual(['p3 DEL', 'p2 DEL', 'p1 DEL']);
    expect(existsSync(cacheFile())).toBe(false);
    await runtime.delNetworkList(list(), conf);
    expect(prevResults()).toEqual([undefined, undefined, undefined]);
  });

  test('stops at a failing plugin and keeps what is remembered (protocol 81)', async () => {
    await runtime.addNetworkList(list(), conf);
    plugins.taken();
    plugins.answer('p2', 'DEL', failure(100, 'no'));
    await expect(runtime.delNetworkList(list(), conf)).rejects.toThrow(
      /^plugin type="p2" failed \(delete\): no$/,
    );
    expect(plugins.taken()).toEqual(['p3 DEL', 'p2 DEL']);
    expect(existsSync(cacheFile())).toBe(true);
  });

  test('names a plugin that has a name of its own (protocol 77)', async () => {
    plugins.answer('p2', 'DEL', failure(100, 'no'));
    const named = list({ plugins: [{ type: 'p1' }, { type: 'p2', name: 'inner' }] });
    await expect(runtime.delNetworkList(named, conf)).rejects.toThrow(
      /^plugin type="p2" name="inner" failed \(delete\): no$/,
    );
  });

  test('before 0.4.0 sends no result and forgets all the same (protocol 82)', async () => {
    await runtime.addNetworkList(list(), conf);
    plugins.taken();
    await runtime.delNetworkList(list({ cniVersion: '0.3.1' }), conf);
    expect(prevResults()).toEqual([undefined, undefined, undefined]);
    expect(existsSync(cacheFile())).toBe(false);
  });

  test('is not stopped by a damaged cache entry (protocol 83)', async () => {
    for (const damaged of ['', '{', 'garbage', '[]']) {
      cacheNow(damaged);
      await runtime.delNetworkList(list(), conf);
      expect(prevResults()).toEqual([undefined, undefined, undefined]);
      expect(plugins.taken()).toHaveLength(3);
      expect(existsSync(cacheFile())).toBe(false);
    }
    expect(logged[0]).toMatch(/^network "n": DEL goes on without the cached result: decoding version /);
  });

  test('drops a damaged entry even when a plugin then fails', async () => {
    cacheNow('garbage');
    plugins.answer('p3', 'DEL', failure(100, 'no'));
    await expect(runtime.delNetworkList(list(), conf)).rejects.toThrow('no');
    expect(existsSync(cacheFile())).toBe(false);
  });

  test('of a version nobody can read runs nothing', async () => {
    await expect(runtime.delNetworkList(list({ cniVersion: 'x.1' }), conf)).rejects.toThrow(
      /^failed to convert major version part "x": /,
    );
    expect(plugins.taken()).toEqual([]);
  });

  test('sends a result that older runtimes cached, in the version of the list (protocol 86)', async () => {
    cacheNow({ cniVersion: '0.2.0', ip4: { ip: '10.0.0.9/24', gateway: '10.0.0.1' } });
    await runtime.delNetworkList(list(), conf);
    expect(prevResults()[0]).toEqual({
      cniVersion: '1.1.0',
      ips: [{ address: '10.0.0.9/24', gateway: '10.0.0.1' }],
    });
  });
});

describe('CHECK', () => {
  test('hands every plugin the remembered result, first to last', async () => {
    await runtime.addNetworkList(list(), conf);
    plugins.taken();
    await runtime.checkNetworkList(list(), conf);
    expect(prevResults()).toEqual([result(3), result(3), result(3)]);
    expect(plugins.taken()).toEqual(['p1 CHECK', 'p2 CHECK', 'p3 CHECK']);
    plugins.answer('p2', 'CHECK', failure(100, 'drifted'));
    await expect(runtime.checkNetworkList(list(), conf)).rejects.toMatchObject({
      code: 100,
      message: 'drifted',
    });
  });

  test('refuses a damaged cache entry and runs nothing (protocol 83)', async () => {
    cacheNow('garbage');
    await expect(runtime.checkNetworkList(list(), conf)).rejects.toThrow(
      /^failed to get network "n" cached result: decoding version from network config: /,
    );
    expect(plugins.taken()).toEqual([]);
  });

  test('runs without a result when nothing is remembered (protocol 84)', async () => {
    await runtime.checkNetworkList(list(), conf);
    expect(prevResults()).toEqual([undefined, undefined, undefined]);
  });

  test('before 0.4.0 is refused even when it is disabled (protocol 85)', async () => {
    const error = await runtime
      .checkNetworkList(list({ cniVersion: '0.3.1', disableCheck: true }), conf)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: 'configuration version "0.3.1" does not support the CHECK command',
      cause: expect.any(CheckNotSupportedError),
    });
  });

  test('that is disabled runs nothing and does not look at the cache (protocol 85)', async () => {
    cacheNow('garbage');
    await runtime.checkNetworkList(list({ cniVersion: '0.4.0', disableCheck: true }), conf);
    expect(plugins.taken()).toEqual([]);
  });

  test('refuses a cached result of a version nobody knows (protocol 87)', async () => {
    cacheNow({
      kind: 'cniCacheV1',
      containerId: 'c1',
      ifName: 'eth0',
      networkName: 'n',
      result: { cniVersion: '0.4567.0' },
    });
    await expect(runtime.checkNetworkList(list(), conf)).rejects.toThrow(
      /unsupported CNI result version "0\.4567\.0"$/,
    );
  });
});

describe('STATUS', () => {
  test('before 1.1.0 succeeds without running anything (protocol 92)', async () => {
    await runtime.statusNetworkList(list({ cniVersion: '1.0.0' }));
    expect(plugins.taken()).toEqual([]);
  });

  test("stops at a plugin that cannot serve, with that plugin's error itself (protocol 92)", async () => {
    plugins.answer('p2', 'STATUS', failure(50, 'full'));
    await expect(runtime.statusNetworkList(list())).rejects.toMatchObject({ code: 50, message: 'full' });
    expect(plugins.taken()).toEqual(['p1 STATUS', 'p2 STATUS']);
  });
});

describe('GC', () => {
  beforeEach(async () => {
    await runtime.addNetworkList(list(), { ...conf, args: [['A', '1']] });
    plugins.taken();
  });
  const valid = [{ containerId: 'c1', ifname: 'eth0' }];
  const dels = ['p3 DEL', 'p2 DEL', 'p1 DEL'];
  const gcs = ['p1 GC', 'p2 GC', 'p3 GC'];

  test('leaves a valid attachment alone and tells the plugins of it (protocol 93)', async () => {
    await runtime.gcNetworkList(list(), { valid });
    const told = [{ containerID: 'c1', ifname: 'eth0' }];
    for (const { request } of plugins.calls()) {
      expect(request['cni.dev/valid-attachments']).toEqual(told);
      expect(request['cni.dev/attachments']).toEqual(told);
    }
    expect(plugins.taken()).toEqual(gcs);
    expect(existsSync(cacheFile())).toBe(true);
  });

  test('deletes what is not valid with the arguments it was added with (protocol 94)', async () => {
    await runtime.gcNetworkList(list(), { valid: [] });
    expect(plugins.calls()[0]?.env).toMatchObject({ CNI_ARGS: 'A=1', CNI_NETNS: '/run/netns/c1' });
    expect(plugins.taken()).toEqual([...dels, ...gcs]);
    expect(existsSync(cacheFile())).toBe(false);
  });

  test('without a word about what is valid deletes everything and sends neither key (protocol 94)', async () => {
    await runtime.gcNetworkList(list());
    const last = plugins.calls().at(-1)?.request;
    expect(Object.keys(last ?? {})).toEqual(['cniVersion', 'name', 'type']);
    expect(plugins.taken()).toEqual([...dels, ...gcs]);
  });

  test('leaves attachments of other networks alone', async () => {
    await runtime.addNetworkList(list({ name: 'other' }), conf);
    plugins.taken();
    await runtime.gcNetworkList(list());
    expect(runtime.getCachedAttachments().map(({ network }) => network)).toEqual(['other']);
  });

  test('that is disabled does nothing (protocol 95)', async () => {
    await runtime.gcNetworkList(list({ disableGC: true }));
    expect(plugins.taken()).toEqual([]);
  });

  test('before 1.1.0 deletes but asks no plugin to collect (protocol 95)', async () => {
    await runtime.gcNetworkList(list({ cniVersion: '1.0.0' }));
    expect(plugins.taken()).toEqual(dels);
  });

  test('goes on after failures and tells all of them, a line each (protocol 95)', async () => {
    plugins.answer('p3', 'DEL', failure(100, 'busy'));
    plugins.answer('p1', 'GC', failure(101, 'stuck', 'why'));
    const error = await runtime.gcNetworkList(list()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message:
        'failed to delete stale attachment c1 eth0: plugin type="p3" failed (delete): busy\n' +
        'failed to GC plugin p1: stuck; why',
    });
    expect(findCniError(error)?.code).toBe(100);
    expect(plugins.taken()).toEqual(['p3 DEL', ...gcs]);
  });

  test('tells of a cache it cannot list, and asks the plugins all the same', async () => {
    rmSync(resultsDir(), { recursive: true });
    writeFileSync(resultsDir(), 'a file where the folder should be');
    await expect(runtime.gcNetworkList(list(), { valid })).rejects.toThrow(
      /^failed to list cached attachments: /,
    );
    expect(plugins.taken()).toEqual(gcs);
  });
});

describe('validation', () => {
  const versions = (...supportedVersions: string[]) => ({
    stdout: { cniVersion: '1.1.0', supportedVersions },
  });

  test('names every plugin that is missing or too old (protocol 96)', async () => {
    plugins.answer('p1', 'VERSION', versions('0.4.0'));
    plugins.answer('p2', 'VERSION', versions('1.1.0'));
    rmSync(join(plugins.path[0]!, 'p3'));
    await expect(runtime.validateNetworkList(list())).rejects.toThrow(
      `[plugin p1 does not support config version "1.1.0" failed to find plugin "p3" in path [${plugins.path[0]}]]`,
    );
  });

  test('returns the capabilities that are on (protocol 96)', async () => {
    for (const name of ['p1', 'p2']) plugins.answer(name, 'VERSION', versions('0.4.0', '1.1.0'));
    const capable = list({
      plugins: [
        { type: 'p1', capabilities: { mac: true, ips: false } },
        { type: 'p2', capabilities: { mac: true, portMappings: true } },
      ],
    });
    expect((await runtime.validateNetworkList(capable)).sort()).toEqual(['mac', 'portMappings']);
  });

  test('asks for versions with dummies that very old plugins accept', async () => {
    plugins.answer('p1', 'VERSION', versions('0.4.0'));
    expect(await runtime.getVersionInfo('p1')).toEqual(['0.4.0']);
    const [call] = plugins.calls();
    expect(call?.stdin).toBe('{"cniVersion":"1.1.0"}');
    expect(call?.env).toMatchObject({
      CNI_CONTAINERID: '',
      CNI_NETNS: 'dummy',
      CNI_IFNAME: 'dummy',
      CNI_PATH: 'dummy',
      CNI_ARGS: '',
    });
  });

  test('a plugin that does not know VERSION speaks 0.1.0 (protocol 98)', async () => {
    plugins.answer('p1', 'VERSION', failure(4, 'unknown CNI_COMMAND: VERSION'));
    expect(await runtime.getVersionInfo('p1')).toEqual(['0.1.0']);
    plugins.answer('p1', 'VERSION', failure(4, 'unknown CNI_COMMAND: VERSION', 'more'));
    await expect(runtime.getVersionInfo('p1')).rejects.toThrow('unknown CNI_COMMAND: VERSION');
  });
});

describe('limits', () => {
  test('a plugin that outlives the timeout is killed and what it left behind not waited for (protocol 101)', async () => {
    plugins.answer('p1', 'ADD', { first: 'sleep 5' });
    const before = Date.now();
    await expect(runtime.addNetworkList(list(), conf, { timeout: 300 })).rejects.toThrow(
      /^plugin type="p1" failed \(add\): netplugin failed with no error message: signal: killed$/,
    );
    expect(Date.now() - before).toBeLessThan(4500);
    expect(plugins.taken()).toEqual(['p1 ADD']);
  });

  test('an operation that is cancelled before it starts runs nothing', async () => {
    const signal = AbortSignal.abort();
    await expect(runtime.addNetworkList(list(), conf, { signal })).rejects.toThrow(
      /: netplugin failed with no error message: context canceled$/,
    );
    expect(plugins.taken()).toEqual([]);
  });
});
