import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { type LogLine, traceParent } from './call-log.ts';
import { networkConfig } from './config.ts';
import { callPlugin } from './dispatch.ts';
import { definePlugin, type Plugin, type RawRequest } from './plugin.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cni-log-'));
  file = join(folder, 'log');
});
afterEach(() => rmSync(folder, { recursive: true }));

const schema = z.looseObject({ ...networkConfig });
const base = { CNI_CONTAINERID: 'c1', CNI_NETNS: '/none', CNI_IFNAME: 'eth0', CNI_PATH: '/x' };

function pluginThat(add: (request: RawRequest) => object | Promise<object>, type = 't'): Plugin {
  return definePlugin({ type, about: '', config: schema, add, check() {}, del() {}, gc() {}, status() {} });
}

async function call(plugin: Plugin, env: object = { CNI_LOG: file }, config: object | string = {}) {
  let [stdout, stderr] = ['', ''];
  const given = typeof config === 'string' ? config : { name: 'n', cniVersion: '1.1.0', ...config };
  const status = await callPlugin(plugin, {
    env: { ...base, CNI_COMMAND: 'ADD', ...env },
    readStdin: () => (typeof given === 'string' ? given : JSON.stringify(given)),
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
  });
  return { status, stdout, stderr };
}

const lines = (): LogLine[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

function busy(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

describe('CNI_LOG', () => {
  test('has a line for each step and one for the call, in one span, and their times add up to it', async () => {
    const plugin = pluginThat(({ undo }) => {
      undo.make(
        'link a',
        () => busy(3),
        () => undefined,
      );
      busy(2);
      return { ips: [{ address: '10.0.0.1/24' }] };
    });
    expect(await call(plugin)).toMatchObject({ status: 0, stderr: '' });
    const all = lines();
    const whole = all.at(-1)!;
    expect(whole).toMatchObject({ kind: 'plugin', verb: 'ADD', plugin: 't', network: 'n' });
    expect(whole).toMatchObject({ container: 'c1', interface: 'eth0', pid: process.pid });
    expect(whole).not.toHaveProperty('step');
    expect(whole).not.toHaveProperty('error');
    expect(whole.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    const steps = all.slice(0, -1);
    expect([...new Set(steps.map(({ step }) => step))]).toEqual([
      'read the configuration',
      'other work',
      'link a',
      'answer',
    ]);
    expect(new Set(all.map(({ traceId, spanId }) => `${traceId} ${spanId}`)).size).toBe(1);
    const sum = steps.reduce((total, { duration }) => total + duration, 0);
    expect(sum).toBeGreaterThanOrEqual(0.95 * whole.duration);
    expect(sum).toBeLessThanOrEqual(whole.duration);
    expect(steps.find(({ step }) => step === 'link a')?.duration).toBeGreaterThanOrEqual(3000);
  });

  test('is for its owner alone', async () => {
    await call(pluginThat(() => ({})));
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('joins the trace of TRACEPARENT, and begins one where that is none', async () => {
    const [trace, span] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    const TRACEPARENT = `00-${trace}-${span}-01`;
    await call(
      pluginThat(() => ({})),
      { CNI_LOG: file, TRACEPARENT },
    );
    expect(lines().at(-1)).toMatchObject({ traceId: trace, parentId: span });
    expect(lines().at(-1)?.spanId).not.toBe(span);
    for (const bad of [
      '',
      'x',
      `00-${'0'.repeat(32)}-${span}-01`,
      `ff-${trace}-${span}-01`,
      `${TRACEPARENT}-1`,
    ]) {
      await call(
        pluginThat(() => ({})),
        { CNI_LOG: file, TRACEPARENT: bad },
      );
      const { traceId, parentId } = lines().at(-1)!;
      expect([bad, parentId]).toEqual([bad, undefined]);
      expect(traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(traceId).not.toBe(trace);
    }
    expect(traceParent(`01-${trace}-${span}-00-later`)).toEqual({
      traceId: trace,
      spanId: span,
      flags: '00',
    });
  });

  test('names the step that failed, and what was undone', async () => {
    const plugin = pluginThat(({ undo }) => {
      undo.make(
        'link a',
        () => undefined,
        () => busy(1),
      );
      undo.make(
        'link b',
        () => {
          throw new Error('the kernel said no');
        },
        () => busy(1),
      );
      return {};
    });
    expect((await call(plugin)).status).toBe(1);
    const failed = lines().filter(({ error }) => error !== undefined);
    expect(failed.map(({ step }) => step)).toEqual(['link b', undefined]);
    expect(failed.map(({ error }) => error)).toEqual(['the kernel said no', 'the kernel said no']);
    expect(lines().map(({ step }) => step)).toEqual(expect.arrayContaining(['undo link b', 'undo link a']));
  });

  test('tells no secret of the configuration, of CNI_ARGS or of a text that is no JSON', async () => {
    const secret = 'hunter2-in-the-clear';
    const plugin = pluginThat(({ undo }) => {
      undo.make(
        `stable_secret=${secret}`,
        () => busy(1),
        () => undefined,
      );
      throw new Error(`cannot use "${secret}"`);
    });
    await call(plugin, undefined, { sysctl: { 'net.ipv6.conf.eth0.stable_secret': secret } });
    await call(plugin, undefined, { args: { cni: { credentials: [{ value: secret }] } } });
    await call(plugin, { CNI_LOG: file, CNI_ARGS: `A=1;API_TOKEN=${secret}` });
    await call(plugin, undefined, `{"name": "n", "password": ${secret}`);
    expect(lines().filter(({ step }) => step === undefined)).toHaveLength(4);
    expect(readFileSync(file, 'utf8')).not.toContain(secret);
    expect(readFileSync(file, 'utf8')).toContain('cannot use \\"…\\"');
  });

  test('fails no call where it cannot be written, and says so in one line', async () => {
    for (const path of [join(folder, 'none', 'log'), folder, '/dev/full']) {
      const { status, stderr } = await call(
        pluginThat(() => ({})),
        { CNI_LOG: path },
      );
      expect(status, path).toBe(0);
      expect(stderr, path).toMatch(/^the log of CNI_LOG is not written: [^\n]+\n$/);
    }
  });

  test('goes on in a file that has lines already, and is not there at all where nobody asked', async () => {
    writeFileSync(file, 'first\n');
    await call(pluginThat(() => ({})));
    expect(readFileSync(file, 'utf8')).toMatch(/^first\n\{/);
    rmSync(file);
    await call(
      pluginThat(() => ({})),
      {},
    );
    await call(
      pluginThat(() => ({})),
      { CNI_LOG: '' },
    );
    await call(
      pluginThat(() => ({})),
      { CNI_LOG: file, CNI_COMMAND: 'VERSION' },
    );
    expect(() => statSync(file)).toThrow('ENOENT');
  });
});
