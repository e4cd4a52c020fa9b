import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { decodeResult } from '@cni-ts/spec/result-version';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileCalls, fileCalls } from './atomic-file.ts';
import { Cache } from './cache.ts';

let dir: string;
let cache: Cache;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-cache-'));
  cache = new Cache(dir);
});
afterEach(() => rmSync(dir, { recursive: true }));

const conf = { containerId: 'c1', netns: '/ns', ifname: 'eth0' };
const key = { network: 'n', containerId: 'c1', ifname: 'eth0' };
const config = new TextEncoder().encode('{"name": "n"}');
const result = (n: number) =>
  decodeResult('1.1.0', { cniVersion: '1.1.0', ips: [{ address: `10.0.0.${n}/24` }] });
const file = (name = 'n-c1-eth0') => join(dir, 'results', name);
const put = (name: string, content: unknown) => {
  mkdirSync(join(dir, 'results'), { recursive: true });
  writeFileSync(file(name), typeof content === 'string' ? content : JSON.stringify(content));
};

test('an entry has its keys in the order of the reference library (protocol 71)', () => {
  const args = [['A', '1']] as const;
  cache.write('n', config, { ...conf, args, capabilityArgs: { mac: 'm' } }, result(1));
  const text = readFileSync(file(), 'utf8');
  const entry = JSON.parse(text) as Record<string, unknown>;
  expect(Object.keys(entry)).toEqual([
    'kind',
    'containerId',
    'config',
    'ifName',
    'networkName',
    'netns',
    'cniArgs',
    'capabilityArgs',
    'result',
  ]);
  expect(Buffer.from(String(entry.config), 'base64').toString()).toBe('{"name": "n"}');
  expect(entry).toMatchObject({
    kind: 'cniCacheV1',
    containerId: 'c1',
    ifName: 'eth0',
    networkName: 'n',
    netns: '/ns',
  });
  expect(text).toBe(JSON.stringify(entry));
});

test('what is empty is left out of an entry (protocol 71)', () => {
  cache.write('n', config, { containerId: 'c1', ifname: 'eth0', args: [], capabilityArgs: {} }, undefined);
  expect(Object.keys(JSON.parse(readFileSync(file(), 'utf8')) as object)).toEqual([
    'kind',
    'containerId',
    'config',
    'ifName',
    'networkName',
  ]);
});

test('an entry without a result is an empty result', () => {
  cache.write('n', config, conf, undefined);
  expect(cache.result(key, '1.1.0')).toMatchObject({ cniVersion: '1.1.0', ips: [] });
});

test('a result that cannot be said in the wanted version says which', () => {
  cache.write('n', config, conf, decodeResult('1.1.0', { cniVersion: '1.1.0' }));
  expect(() => cache.result(key, '0.2.0')).toThrow(
    /^failed to convert cached result to config version "0\.2\.0": cannot convert: no valid IP addresses/,
  );
});

test('attachments of one container are those whose stored id is that container (protocol 99)', () => {
  cache.write('n', config, conf, result(1));
  cache.write('n', config, { ...conf, containerId: 'c2' }, result(2));
  cache.write('c1', config, { ...conf, containerId: 'c3' }, result(2));
  put('n-c1-eth9', { kind: 'cniCacheV1', containerId: 'c4', ifName: 'eth9', networkName: 'n' });
  expect(cache.attachments('c1')).toEqual([
    { network: 'n', containerId: 'c1', ifname: 'eth0', netns: '/ns', args: [], capabilityArgs: {}, config },
  ]);
  expect(cache.attachments().map(({ network, containerId }) => `${network} ${containerId}`)).toEqual([
    'c1 c3',
    'n c1',
    'n c4',
    'n c2',
  ]);
});

test('what is no entry is passed over in the list of attachments (protocol 99)', () => {
  put('n-c1-eth0', { kind: 'cniCacheV2', containerId: 'c1', ifName: 'eth0', networkName: 'n' });
  put('n-c1-eth1', '{');
  put('n-c1-eth2', { kind: 'cniCacheV1', containerId: 'c1', ifName: '', networkName: 'n' });
  put('n-c1-eth3', { kind: 'cniCacheV1', containerId: 'c1', ifName: 'eth3', networkName: 'n', config: '!' });
  mkdirSync(file('n-c1-eth4'));
  expect(cache.attachments()).toEqual([]);
});

test('a missing folder has no attachments (protocol 99)', () => {
  expect(new Cache(join(dir, 'none')).attachments('c1')).toEqual([]);
});

test('the configuration of an unknown attachment is nothing (protocol 100)', () => {
  expect(cache.config('n', conf)).toBeUndefined();
});

test('a file name needs all of its parts (protocol 100)', () => {
  expect(() => cache.config('n', { containerId: 'c', ifname: '' })).toThrow(
    /^cache file path requires network name \("n"\), container ID \("c"\), and interface name \(""\)$/,
  );
});

test('no part of a file name leads out of the folder', () => {
  for (const part of ['../x', 'a/b', 'a\0b']) {
    for (const bad of [{ network: part }, { containerId: part }, { ifname: part }]) {
      expect(() => cache.path({ ...key, ...bad })).toThrow(/^cache file path allows no path separator in /);
      expect(() => cache.remove({ ...key, ...bad })).not.toThrow();
    }
  }
});

test('the cached configuration comes with the arguments of its ADD', () => {
  cache.write('n', config, { ...conf, args: [['A', '1']], capabilityArgs: { mac: 'm' } }, result(1));
  const asked = { ...conf, netns: '/other', capabilityArgs: { ips: [] } };
  expect(cache.config('n', asked)).toEqual({
    config,
    conf: { ...conf, netns: '/other', args: [['A', '1']], capabilityArgs: { mac: 'm' } },
  });
  put('n-c1-eth0', { cniVersion: '1.0.0' });
  expect(() => cache.config('n', conf)).toThrow(/^read cached network "n" config has wrong kind: $/);
  put('n-c1-eth0', '{');
  expect(() => cache.config('n', conf)).toThrow(/^failed to unmarshal cached network "n" config: /);
});

test('an entry without its ID is known by its file, one without more of it is damaged', () => {
  const entry = { kind: 'cniCacheV1', ifName: 'eth0', networkName: 'n', netns: '/ns' };
  put('n-c-5-eth0', entry);
  expect(cache.attachments()).toMatchObject([
    { network: 'n', containerId: 'c-5', ifname: 'eth0', netns: '/ns' },
  ]);
  put('n-c-5-eth0', { ...entry, ifName: 'eth7' });
  expect(cache.attachments()).toEqual([]);
  expect(cache.remembered('n').unreadable).toEqual([
    {
      path: file('n-c-5-eth0'),
      why: 'it is damaged',
      mayBe: [
        { containerId: 'c', ifname: '5-eth0' },
        { containerId: 'c-5', ifname: 'eth0' },
      ],
    },
  ]);
});

test('a folder that is not to be written to is told before there is anything to write', () => {
  cache.prepare();
  expect(() => cache.prepare()).not.toThrow();
  rmSync(join(dir, 'results'), { recursive: true });
  writeFileSync(join(dir, 'results'), 'a file');
  expect(() => cache.prepare()).toThrow(/results/);
});

describe('a write that is cut short', () => {
  /** The n-th call to the file system, and all after it, fail: the disk is gone, or we are. */
  function dyingAfter(n: number): { files: FileCalls; died: () => boolean } {
    let made = 0;
    const mortal =
      <Given extends unknown[], Result>(call: (...given: Given) => Result) =>
      (...given: Given): Result => {
        if (++made > n) throw new Error('gone');
        return call(...given);
      };
    const files: FileCalls = {
      closeFile: mortal(fileCalls.closeFile),
      makeFolder: mortal(fileCalls.makeFolder),
      openFile: mortal(fileCalls.openFile),
      removeFile: mortal(fileCalls.removeFile),
      renameFile: mortal(fileCalls.renameFile),
      syncFile: mortal(fileCalls.syncFile),
      // A death in the middle of it leaves the first part.
      writeWhole(fd, bytes, path) {
        const half = bytes.length >> 1;
        mortal(fileCalls.writeWhole)(fd, bytes.subarray(0, half), path);
        mortal(fileCalls.writeWhole)(fd, bytes.subarray(half), path);
      },
    };
    return { files, died: () => made > n };
  }

  test.each(['before there is an entry', 'over an older entry'])(
    '%s never shows half of one',
    (situation) => {
      let completed = false;
      for (let n = 0; !completed; n++) {
        rmSync(join(dir, 'results'), { recursive: true, force: true });
        if (situation === 'over an older entry') cache.write('n', config, conf, result(1));
        const { files, died } = dyingAfter(n);
        try {
          new Cache(dir, files).write('n', config, conf, result(2));
        } catch {
          // it died, as it was meant to
        }
        completed = !died();
        const seen = cache.result(key, '1.1.0');
        const before = situation === 'over an older entry' ? result(1) : undefined;
        expect([before, result(2)]).toContainEqual(seen);
        if (completed) expect(seen).toEqual(result(2));
        expect(cache.attachments().length).toBeLessThanOrEqual(1);
      }
    },
  );

  test('is on disk before it has its name, and its name before the call returns', () => {
    const made: string[] = [];
    const watched: FileCalls = {
      ...fileCalls,
      syncFile(fd, path) {
        made.push('sync');
        fileCalls.syncFile(fd, path);
      },
      renameFile(from, to) {
        made.push('rename');
        fileCalls.renameFile(from, to);
      },
    };
    new Cache(dir, watched).write('n', config, conf, result(1));
    expect(made).toEqual(['sync', 'rename', 'sync']);
  });

  test('on another file system is made beside the entry, and what a kill left there is swept, not listed', () => {
    const crossing: FileCalls = {
      ...fileCalls,
      renameFile(from, to) {
        if (dirname(from) !== dirname(to)) {
          throw Object.assign(new Error('invalid cross-device link'), { code: 'EXDEV' });
        }
        fileCalls.renameFile(from, to);
      },
    };
    new Cache(dir, crossing).write('n', config, conf, result(1));
    expect(cache.result(key, '1.1.0')).toEqual(result(1));
    expect([readdirSync(join(dir, 'results')), readdirSync(join(dir, '.results-being-written'))]).toEqual([
      ['n-c1-eth0'],
      [],
    ]);
    put('.n-c2-eth0.77.x', readFileSync(file(), 'utf8'));
    expect(cache.attachments()).toHaveLength(1);
    cache.sweep();
    expect(readdirSync(join(dir, 'results'))).toHaveLength(2);
    cache.sweep(Date.now() + 86_400_000);
    expect(readdirSync(join(dir, 'results'))).toEqual(['n-c1-eth0']);
  });

  test('leaves no file behind when the disk refuses, and a sweep takes what a kill left', () => {
    const full: FileCalls = {
      ...fileCalls,
      syncFile() {
        throw new Error('no space left');
      },
    };
    expect(() => new Cache(dir, full).write('n', config, conf, result(1))).toThrow('no space left');
    const workshop = join(dir, '.results-being-written');
    expect(readdirSync(workshop)).toEqual([]);
    writeFileSync(join(workshop, 'old'), '{');
    writeFileSync(join(workshop, 'new'), '{');
    const yesterday = Date.now() / 1000 - 86_400;
    utimesSync(join(workshop, 'old'), yesterday, yesterday);
    cache.sweep();
    expect(readdirSync(workshop)).toEqual(['new']);
  });
});
