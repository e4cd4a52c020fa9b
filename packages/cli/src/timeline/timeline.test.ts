import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networkConfig } from '@cni-ts/skeleton/config';
import { definePlugin, type Plugin } from '@cni-ts/skeleton/plugin';
import { RecordingPlugins } from '@cni-ts/testing/recording-plugins';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { runCnitool } from '../../test/run-cnitool.ts';
import { timelineSchema } from '../report-schemas.ts';
import { idOfStep } from './otlp.ts';

let folder: string;
let file: string;
let env: Record<string, string | undefined>;
let plugins: RecordingPlugins;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cni-timeline-'));
  file = join(folder, 'log');
  plugins = new RecordingPlugins('p1', 'p2');
  mkdirSync(join(folder, 'tmp'));
  env = {
    PATH: process.env.PATH,
    NETCONFPATH: folder,
    CNI_PATH: plugins.path.join(':'),
    CNI_CACHE_DIR: join(folder, 'cache'),
    TMPDIR: join(folder, 'tmp'),
  };
  const list = { name: 'net', cniVersion: '1.1.0', plugins: [{ type: 'p1' }, { type: 'p2' }] };
  writeFileSync(join(folder, 'net.conflist'), JSON.stringify(list));
  plugins.answer('p1', 'ADD', { stdout: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] } });
  plugins.answer('p2', 'ADD', { stdout: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] } });
});
afterEach(() => {
  plugins.remove();
  rmSync(folder, { recursive: true });
});

async function run(argv: readonly string[], inProcess?: (type: string) => Plugin | undefined) {
  return runCnitool(argv, {
    env,
    ...(inProcess && { inProcess, self: join(plugins.path[0] ?? '', 'p2') }),
  });
}

const [trace, one, two] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', 'b7ad6b7169203332'];
const line = (more: object) =>
  `${JSON.stringify({
    time: '2026-11-30T01:00:00.000250Z',
    traceId: trace,
    spanId: one,
    kind: 'plugin',
    verb: 'ADD',
    plugin: 'bridge',
    network: 'web',
    container: 'c1',
    interface: 'eth0',
    duration: 1000,
    pid: 7,
    ...more,
  })}\n`;

/** A plugin with a delegate, as two processes would have written it. */
const whole =
  line({ step: 'link veth1', duration: 600 }) +
  line({
    spanId: two,
    parentId: one,
    plugin: 'host-local',
    step: 'plan',
    duration: 300,
    time: '2026-11-30T01:00:00.000860Z',
  }) +
  line({
    spanId: two,
    parentId: one,
    plugin: 'host-local',
    duration: 380,
    time: '2026-11-30T01:00:00.000860Z',
  }) +
  line({ step: 'host-local ADD', duration: 400, time: '2026-11-30T01:00:00.000850Z' }) +
  line({});

describe('timeline', () => {
  test('draws bars of a log, a delegate where it was called', async () => {
    writeFileSync(file, whole);
    const { status, stdout } = await run(['timeline', file]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      `trace ${trace} at 2026-11-30T01:00:00.000Z\n` +
        `bridge ADD            1.00 ms  ${'█'.repeat(40)}\n` +
        `  link veth1          0.60 ms  ${'█'.repeat(24)}\n` +
        `  host-local ADD      0.38 ms  ${' '.repeat(24)}${'█'.repeat(15)}▏\n` +
        `    plan              0.30 ms  ${' '.repeat(24)}${'█'.repeat(12)}\n`,
    );
  });

  test('takes a last line that was cut short, and tells of others that are none', async () => {
    writeFileSync(file, whole + whole.slice(0, 50));
    expect(await run(['timeline', file])).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(file, `what is this\n{"time": 5}\n${whole}`);
    const { status, stdout, stderr } = await run(['timeline', file, '--json']);
    expect(status).toBe(1);
    expect(stderr).toContain('2 lines are none of a CNI_LOG');
    const report = z.parse(timelineSchema(), JSON.parse(stdout));
    expect(report).toMatchObject({ unreadable: 2, spans: [{ spanId: one }, { spanId: two, parentId: one }] });
    expect(report.spans[0]?.steps.map(({ step }) => step)).toEqual(['link veth1', 'host-local ADD']);
  });

  test('tells of a call without an end, and of one that failed', async () => {
    writeFileSync(file, line({ step: 'link veth1', duration: 600 }));
    expect((await run(['timeline', file])).stdout).toContain(
      '✗ no end: it goes on, or its process was killed',
    );
    writeFileSync(
      file,
      line({ step: 'link veth1', duration: 600, error: 'exists' }) + line({ error: 'exists' }),
    );
    const failed = await run(['timeline', file]);
    expect(failed.status).toBe(1);
    expect(failed.stdout).toMatch(/bridge ADD .* ✗ exists\n {2}link veth1 .* ✗ failed\n/);
  });

  test('of one container, of one trace; of no file ends with 3', async () => {
    const other = whole.replaceAll(trace, `1${trace.slice(1)}`).replaceAll('"c1"', '"c2"');
    writeFileSync(file, whole + other);
    expect((await run(['timeline', file])).stdout.match(/^trace /gm)).toHaveLength(2);
    expect((await run(['timeline', file, '--container', 'c2'])).stdout).toMatch(/^trace 1af7/);
    expect((await run(['timeline', file, '--trace', '0af7'])).stdout.match(/^trace /gm)).toHaveLength(1);
    expect((await run(['timeline', file, '--container', 'c9'])).stdout).toBe(`there is no call in ${file}\n`);
    expect((await run(['timeline', join(folder, 'none')])).status).toBe(3);
  });

  test('--otlp prints spans as a collector takes them, steps with ids that stay', async () => {
    writeFileSync(file, whole);
    const json = JSON.parse((await run(['timeline', file, '--otlp'])).stdout);
    const { spans } = json.resourceSpans[0].scopeSpans[0];
    expect(spans).toHaveLength(5);
    expect(spans[0]).toMatchObject({
      traceId: trace,
      spanId: one,
      name: 'bridge ADD',
      startTimeUnixNano: '1796000400000250000',
      endTimeUnixNano: '1796000400001250000',
    });
    expect(spans[1]).toMatchObject({ parentSpanId: one, name: 'link veth1', spanId: idOfStep(one, 0) });
    expect(new Set(spans.map(({ spanId }: { spanId: string }) => spanId)).size).toBe(5);
    for (const { spanId } of spans) expect(spanId).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('--timing', () => {
  test('tells on stderr how long each process took, whoever wrote the plugin, and leaves no file', async () => {
    const { status, stdout, stderr } = await run(['add', 'net', '/ns', '--timing']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ips: [{ address: '10.0.0.2/24' }] });
    expect(stderr).toMatch(
      /^trace [0-9a-f]{32} at .*\nADD net cnitool-[0-9a-f]{20}\/eth0 .*\n( {2}between plugins .*\n)? {2}p1 ADD +[\d.]+ ms .*\n {2}p2 ADD +[\d.]+ ms .*\n$/,
    );
    expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
    expect((await run(['check', 'net', '/ns', '--timing'])).stderr).toContain('  p2 CHECK ');
    expect((await run(['del', 'net', '/ns', '--timing'])).stderr).toContain('  p2 DEL ');
    expect((await run(['add', 'net', '/ns'])).stderr).toBe('');
  });

  test('tells which plugin failed', async () => {
    plugins.answer('p2', 'ADD', { stdout: { code: 11, msg: 'try again' }, status: 1 });
    const { status, stderr } = await run(['add', 'net', '/ns', '--timing']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/ {2}p2 ADD .* ✗ .*try again/);
    expect(stderr).toMatch(/ {2}p1 DEL /);
  });

  test('of a plugin of this program tells the steps; CNI_LOG keeps all of it in the trace of TRACEPARENT', async () => {
    const inside = definePlugin({
      type: 'p2',
      config: () => z.looseObject({ ...networkConfig }),
      add({ undo }) {
        undo.make(
          'link a',
          () => {
            for (const end = performance.now() + 5; performance.now() < end; );
          },
          () => undefined,
        );
        return { ips: [{ address: '10.0.0.3/24' }] };
      },
      check() {},
      del() {},
      gc() {},
      status() {},
    });
    env = { ...env, CNI_LOG: file, TRACEPARENT: `00-${trace}-${one}-01` };
    const argv = ['add', 'net', '/ns', '--timing'];
    const { stderr } = await run(argv, (type) => (type === 'p2' ? inside : undefined));
    expect(stderr).toMatch(/ {2}p2 ADD .*\n(.*\n)* {4}link a +[\d.]+ ms /);
    const report = JSON.parse((await run(['timeline', file, '--json'])).stdout) as z.infer<
      ReturnType<typeof timelineSchema>
    >;
    expect(new Set(report.spans.map(({ traceId }) => traceId))).toEqual(new Set([trace]));
    const [chain, first, second, within] = report.spans;
    expect(chain).toMatchObject({ kind: 'chain', verb: 'ADD', network: 'net', parentId: one });
    expect(first).toMatchObject({ kind: 'run', plugin: 'p1', parentId: chain?.spanId });
    expect(second).toMatchObject({ kind: 'run', plugin: 'p2', parentId: chain?.spanId });
    expect(within).toMatchObject({ kind: 'plugin', plugin: 'p2', parentId: second?.spanId });
    // A plugin that is not ours finds its parent in its environment.
    const given = plugins.calls().find(({ plugin }) => plugin === 'p1')?.env.TRACEPARENT;
    expect(given).toBe(`00-${trace}-${first?.spanId}-01`);
    expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true);
  });
});
