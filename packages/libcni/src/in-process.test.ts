import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Input } from '@cni-ts/invoke/input';
import { definePlugin } from '@cni-ts/skeleton/plugin';
import { CniError, findCniError } from '@cni-ts/spec/cni-error';
import { writeProgram } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { inProcessExecutor } from './in-process.ts';
import { parseNetworkList } from './network-list.ts';
import { Runtime } from './runtime.ts';

const inside = definePlugin({
  type: 'inside',
  config: z.object({ fail: z.optional(z.boolean()), slow: z.optional(z.boolean()) }),
  async add(request) {
    request.undo.add('what was made', () => request.log('undone'));
    request.log(`add ${request.containerId} ${request.ifname} ${request.network}`);
    if (request.config.fail) throw new CniError(11, 'busy', 'later');
    if (request.config.slow) await new Promise((resolve) => setTimeout(resolve, 100));
    return { ips: [{ address: '10.0.0.2/24' }] };
  },
  check() {},
  del() {},
  gc() {},
  status() {
    throw new CniError(50, 'not now');
  },
});

let dir: string;
let stderr: string;
let runtime: Runtime;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-inside-'));
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  const self = join(dir, 'self');
  // Whoever starts it as a process hears of it.
  writeProgram(self, '#!/bin/sh\necho "started as a process" >&2; exit 1\n');
  linkSync(self, join(bin, 'inside'));
  linkSync(self, join(bin, 'unknown'));
  writeProgram(join(bin, 'copy'), '#!/bin/sh\necho "{}"\n');
  stderr = '';
  const executor = inProcessExecutor({
    lookup: (type) => (type === 'unknown' ? undefined : inside),
    self,
    stderr: (text) => {
      stderr += text;
    },
  });
  runtime = new Runtime({ path: [bin], cacheDir: join(dir, 'cache'), executor });
});
afterEach(() => rmSync(dir, { recursive: true }));

const list = (type: string, more: object = {}) =>
  parseNetworkList(
    Buffer.from(JSON.stringify({ name: 'n', cniVersion: '1.1.0', plugins: [{ type, ...more }] })),
  );
const conf = { containerId: 'c1', netns: '/none', ifname: 'eth0' };

test('a plugin that is a link to this program is called, and its result is that of an execution', async () => {
  const result = await runtime.addNetworkList(list('inside'), conf);
  expect(result).toMatchObject({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] });
  expect(stderr).toBe('add c1 eth0 n\n');
  await runtime.checkNetworkList(list('inside'), conf);
  await runtime.delNetworkList(list('inside'), conf);
});

test('its failure is an error of a plugin, and its stderr is dropped as after an execution', async () => {
  const error = await runtime
    .addNetworkList(list('inside', { fail: true }), conf)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: 'plugin type="inside" failed (add): busy; later' });
  expect(findCniError(error)?.code).toBe(11);
  expect(stderr).toBe('');
  await expect(runtime.statusNetworkList(list('inside'))).rejects.toMatchObject({
    code: 50,
    message: 'not now',
  });
});

test('it answers VERSION', async () => {
  expect(await runtime.getVersionInfo('inside')).toContain('1.1.0');
});

test('a link that this program has no plugin for is started', async () => {
  await expect(runtime.addNetworkList(list('unknown'), conf)).rejects.toThrow(
    'plugin type="unknown" failed (add): netplugin failed: "started as a process\\n": exit status 1',
  );
});

test('another file is started, even if this program has a plugin of its name', async () => {
  expect((await runtime.addNetworkList(list('copy'), conf))?.cniVersion).toBe('1.1.0');
  expect(stderr).toBe('');
});

test('a signal that came before keeps it from being called', async () => {
  const signal = AbortSignal.abort();
  await expect(runtime.addNetworkList(list('inside'), conf, { signal })).rejects.toThrow(
    /: context canceled$/,
  );
  expect(stderr).toBe('');
});

test('an ADD that is called off while it runs undoes what it made and fails', async () => {
  const adding = runtime.addNetworkList(list('inside', { slow: true }), conf, { timeout: 20 });
  await expect(adding).rejects.toThrow(
    /failed \(add\): interrupted by the caller; everything this ADD had made was undone$/,
  );
  expect(runtime.getCachedAttachments()).toEqual([]);
});

test('signals are held around each call and released after it', async () => {
  const seen: string[] = [];
  const executor = inProcessExecutor({
    lookup: () => inside,
    self: join(dir, 'self'),
    stderr: () => {},
    holdSignals() {
      seen.push('held');
      return { interrupted: () => 'SIGINT', release: () => seen.push('released') };
    },
  });
  const held = new Runtime({ path: runtime.path, cacheDir: join(dir, 'cache'), executor });
  await expect(held.addNetworkList(list('inside'), conf)).rejects.toThrow('interrupted by SIGINT');
  await held.delNetworkList(list('inside'), conf);
  expect(seen).toEqual(['held', 'released', 'held', 'released']);
});

test('it sees what a process would read, also where nothing is printed', async () => {
  const seen: { json: unknown; stdin: string; prevResult: unknown }[] = [];
  const mirror = definePlugin({
    type: 'mirror',
    config: z.object({}),
    add({ json, stdin, prevResult }) {
      seen.push({ json, stdin, prevResult: structuredClone(prevResult) });
      // Nobody else's either way.
      if (prevResult?.ips) prevResult.ips.length = 0;
      return { interfaces: [{ name: 'eth0', mtu: 1400 }], ips: [{ address: '10.0.0.2/24' }] };
    },
    check() {},
    del() {},
    gc() {},
    status() {},
  });
  linkSync(join(dir, 'self'), join(dir, 'bin', 'mirror'));
  const executor = inProcessExecutor({ lookup: () => mirror, self: join(dir, 'self') });
  const reading = new Runtime({ path: runtime.path, cacheDir: join(dir, 'cache'), executor });
  const plugin = (more: string) =>
    `{"type":"mirror","capabilities":{"odd":true},"rate":18446744073709551615,"z":{"b":-0,"__proto__":{"a":null}}${more}}`;
  const text = `{"name":"n","cniVersion":"0.4.0","plugins":[${plugin(',"A":1,"a":null')},${plugin('')}]}`;
  const odd = { late: undefined, when: new Date(0), list: [undefined, Number.NaN], nested: new Map() };
  const capabilityArgs = { odd };
  await reading.addNetworkList(parseNetworkList(Buffer.from(text)), { ...conf, capabilityArgs });
  expect(seen).toHaveLength(2);
  for (const { json, stdin } of seen) {
    // As texts, since the order of members tells which of two spellings counts.
    expect(JSON.stringify(json)).toBe(JSON.stringify(JSON.parse(stdin)));
    expect(stdin).toContain('18446744073709551615');
  }
  expect(seen[0]?.prevResult).toBeUndefined();
  // Version 0.4.0 has no MTU for an interface.
  expect(seen[1]?.prevResult).toEqual({
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0' }],
    ips: [{ address: '10.0.0.2/24' }],
  });
  expect(reading.getNetworkListCachedResult(parseNetworkList(Buffer.from(text)), conf)).toMatchObject({
    ips: [{ address: '10.0.0.2/24' }],
  });
});

test('nothing is printed for it that it does not ask for', async () => {
  let printed = false;
  const executor = inProcessExecutor({ lookup: () => inside, self: join(dir, 'self'), stderr: () => {} });
  const watching: typeof executor = {
    ...executor,
    run({ program, env, signal, input }) {
      const print = () => {
        printed = true;
        return input?.text ?? '';
      };
      const watched = new Input(print, () => input?.json);
      return executor.run({ program, env, signal, input: watched, stdin: 'not read' });
    },
  };
  const quiet = new Runtime({ path: runtime.path, cacheDir: join(dir, 'cache'), executor: watching });
  expect(await quiet.addNetworkList(list('inside'), conf)).toMatchObject({ cniVersion: '1.1.0' });
  await quiet.delNetworkList(list('inside'), conf);
  expect(printed).toBe(false);
});
