import { specVersions } from '@cni-ts/spec/released-versions';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { networkConfig } from './config.ts';
import type { ConfigFinding } from './config-findings.ts';
import { callPlugin } from './dispatch.ts';
import { definePlugin, type Plugin } from './plugin.ts';

const nothing = { add: () => ({}), check() {}, del() {}, gc() {}, status() {} };
const ipam = definePlugin({
  type: 'pool',
  config: () =>
    z.object({
      ipam: z.optional(
        z.object({
          subnet: z.string(),
          ranges: z.optional(z.array(z.array(z.object({ first: z.string() })))),
        }),
      ),
      runtimeConfig: z.optional(z.object({ ips: z.optional(z.array(z.string())) })),
    }),
  ...nothing,
});
const plugin = definePlugin({
  type: 'wire',
  config: () =>
    z.object({
      ...networkConfig,
      mtu: z.optional(z.int()),
      mode: z.optional(z.string()),
      labels: z.optional(z.record(z.string(), z.string())),
      runtimeConfig: z.optional(z.object({ mac: z.optional(z.string()) })),
    }),
  parse({ mtu = 0, mode = 'fast' }) {
    if (mtu > 9000) throw new Error(`the wire takes no MTU of ${mtu}`);
    return { mode };
  },
  refuse({ mode }) {
    if (mode !== 'fast') throw new Error(`unknown mode ${mode}`);
  },
  ...nothing,
});

/** What the plugin answers to VALIDATE. */
async function validate(config: object, inside: readonly Plugin[] = [ipam]): Promise<ConfigFinding[]> {
  let answer = '';
  const status = await callPlugin(plugin, {
    env: { CNI_COMMAND: 'VALIDATE' },
    readStdin: () => JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'wire', ...config }),
    writeStdout(text) {
      answer += text;
    },
    writeStderr() {},
    inProcess: (type) => inside.find((one) => one.type === type),
  });
  expect(status).toBe(0);
  return JSON.parse(answer).findings;
}
const told = (found: readonly ConfigFinding[]) =>
  found.map(({ code, level, path, message }) => `${level} ${code} /${path.join('/')} ${message}`);

test('a configuration that is fine has no findings, and needs no variables but the command', async () => {
  expect(
    await validate({
      mtu: 1500,
      ipam: { type: 'pool', subnet: '10.0.0.0/24' },
      capabilities: { ips: true, mac: true },
    }),
  ).toEqual([]);
});

test('every value that does not fit is told, of the plugin and of its IPAM plugin', async () => {
  expect(told(await validate({ mtu: '1500', labels: { a: 1 }, ipam: { type: 'pool', ranges: {} } }))).toEqual(
    [
      'error CNI1010 /mtu expected a number, got the string "1500"',
      'error CNI1010 /labels/a expected a string, got 1',
      'error CNI1004 /ipam/subnet expected a string, got nothing',
      'error CNI1010 /ipam/ranges expected a list, got an object',
    ],
  );
});

test('a key near a known one is an error, at any depth; another is a note; comments and the like are nothing', async () => {
  const json = {
    mtuu: 1,
    vendor: 1,
    _comment: 'mtu',
    'x-mtu': 1,
    'io.example/mtu': 1,
    labels: { mtuu: 'any' },
    args: { anything: 1, cni: { ipss: 1 } },
    ipam: { type: 'pool', subnet: '', ranges: [[{ first: '', frist: '' }]] },
  };
  expect(told(await validate(json))).toEqual([
    'error CNI1012 /mtuu unknown key; did you mean mtu?',
    'note CNI1013 /vendor unknown key, which the plugin passes over',
    'error CNI1012 /ipam/ranges/0/0/frist unknown key; did you mean first?',
  ]);
});

test('another spelling of a key is the key, as plugins read it', async () => {
  expect(await validate({ MTU: 1500 })).toEqual([]);
});

test("what is in ipam is nobody else's to judge where its plugin is another program", async () => {
  expect(await validate({ ipam: { type: 'foreign', subnett: 1 }, capabilities: { anything: true } })).toEqual(
    [],
  );
});

describe('capabilities', () => {
  test('that neither the plugin nor its IPAM plugin uses are told, with those that are', async () => {
    expect(told(await validate({ capabilities: { portMappings: true, bandwidth: false } }))).toEqual([
      'warning CNI1030 /capabilities/portMappings the plugin does not use the capability portMappings; it uses mac',
    ]);
  });
  test('that are misspelt are errors', async () => {
    expect(told(await validate({ capabilities: { mca: true } }))).toEqual([
      'error CNI1012 /capabilities/mca unknown capability; did you mean mac?',
    ]);
  });
});

test('a version that the plugin does not speak is told', async () => {
  expect(told(await validate({ cniVersion: '0.9.0' }))).toEqual([
    `error CNI4002 /type plugin wire speaks ${specVersions.join(', ')}, not 0.9.0`,
  ]);
});

test('what the plugin refuses stands where it is about, whether it reads or judges it', async () => {
  expect(await validate({ mtu: 9001 })).toEqual([
    {
      code: 'CNI1021',
      level: 'error',
      path: ['mtu'],
      message: 'the wire takes no MTU of 9001',
      ofPlugin: true,
    },
  ]);
  expect(told(await validate({ mode: 'slow' }))).toEqual(['error CNI1011 /mode unknown mode slow']);
});
