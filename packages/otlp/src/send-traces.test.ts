import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { idOfStep } from '@cni-ts/cli/timeline/otlp';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sendTraces } from './send-traces.ts';

const [trace, span] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
const line = (more: object) =>
  `${JSON.stringify({
    time: '2026-11-30T01:00:00.000250Z',
    traceId: trace,
    spanId: span,
    parentId: 'b7ad6b7169203330',
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

let folder: string;
let file: string;
let collector: Server;
let got: { path: string; type: string; json: unknown }[];
let answer: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cni-otlp-'));
  file = join(folder, 'log');
  got = [];
  answer = 200;
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      got.push({
        path: request.url ?? '',
        type: request.headers['content-type'] ?? '',
        json: JSON.parse(body),
      });
      response.writeHead(answer, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await new Promise((done) => collector.close(done));
});

async function send(argv: readonly string[], endpoint?: string) {
  let [stdout, stderr] = ['', ''];
  // OpenTelemetry's packages read the process's own environment.
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint);
  const status = await sendTraces(argv, {
    env: process.env,
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  return { status, stdout, stderr };
}

const here = () => `http://127.0.0.1:${(collector.address() as AddressInfo).port}`; // reason: it listens at a port

test('what a log holds arrives at the collector, with ids, times and parents', async () => {
  writeFileSync(
    file,
    line({ step: 'link veth1', duration: 600, error: 'exists' }) + line({ error: 'exists' }),
  );
  expect(await send([file], here())).toEqual({
    status: 0,
    stdout: '2 spans of 1 traces were sent\n',
    stderr: '',
  });
  expect(got).toMatchObject([
    {
      path: '/v1/traces',
      type: 'application/json',
      json: {
        resourceSpans: [
          {
            scopeSpans: [
              {
                spans: [
                  {
                    traceId: trace,
                    spanId: span,
                    parentSpanId: 'b7ad6b7169203330',
                    name: 'bridge ADD',
                    startTimeUnixNano: '1796000400000250000',
                    endTimeUnixNano: '1796000400001250000',
                    status: { code: 2, message: 'exists' },
                  },
                  { spanId: idOfStep(span, 0), parentSpanId: span, name: 'link veth1' },
                ],
              },
            ],
          },
        ],
      },
    },
  ]);
});

test('without an endpoint nothing is sent; what fails is told', async () => {
  writeFileSync(file, line({}));
  expect((await send([file])).status).toBe(2);
  expect((await send([], here())).status).toBe(2);
  expect((await send([join(folder, 'none')], here())).status).toBe(3);
  expect(got).toEqual([]);
  answer = 400;
  expect(await send([file], here())).toMatchObject({ status: 1, stdout: '' });
});
