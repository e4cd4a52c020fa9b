import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Input } from '@cni-ts/invoke/input';
import { CniError } from '@cni-ts/spec/cni-error';
import type { Result } from '@cni-ts/spec/result';
import { others } from '@cni-ts/spec/result-table';
import { beforeEach, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { networkConfig } from './config.ts';
import { delegateTo } from './delegate.ts';
import { callPlugin, servePlugin } from './dispatch.ts';
import { definePlugin, type Plugin, type Request } from './plugin.ts';
import type { Process } from './process.ts';
import { Undo } from './undo.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'delegate-'));
  return () => rmSync(folder, { recursive: true });
});

/** A delegate as a child process: writes each command and its configuration down, then does as told per command. */
function child(type: string, doing: Record<string, string>): () => string[] {
  const log = join(folder, `${type}.log`);
  const cases = Object.entries(doing).map(([command, script]) => `${command}) ${script};;`);
  const script = `#!/bin/sh\necho "$CNI_COMMAND $(/bin/cat)" >>${log}\ncase $CNI_COMMAND in\n${cases.join('\n')}\nesac\n`;
  writeFileSync(join(folder, type), script, { mode: 0o755 });
  writeFileSync(log, '');
  return () => readFileSync(log, 'utf8').trimEnd().split('\n');
}

type Doing = (request: Request<unknown>) => Promise<unknown>;

function caller(doing: Doing): Plugin {
  const verb = async (request: Request<unknown>) => void (await doing(request));
  return definePlugin({
    type: 'main',
    config: () => z.object(networkConfig),
    async add(request) {
      // What a test hands back from ADD is a delegate's result.
      return (await doing(request)) as Result;
    },
    check: verb,
    del: verb,
    gc: verb,
    status: verb,
  });
}

const stdin = '{ "name":"n", "cniVersion":"1.1.0", "ipam":{"type":"ipam"} }';

async function call(command: string, doing: Doing, more: Partial<Process> = {}) {
  let [stdout, stderr] = ['', ''];
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/none',
    CNI_IFNAME: 'eth0',
    CNI_PATH: folder,
  };
  const status = await callPlugin(caller(doing), {
    env,
    readStdin: () => stdin,
    writeStdout: (text) => {
      stdout += text;
    },
    writeStderr: (text) => {
      stderr += text;
    },
    ...more,
  });
  const answer: unknown = stdout === '' ? undefined : JSON.parse(stdout);
  return { status, answer, stderr, env };
}

const printed = `echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.2/24"}]}'`;

test('a delegate gets its own command whatever the caller does, and the environment stays (protocol 103)', async () => {
  const log = child('ipam', { ADD: `${printed}; echo hello >&2` });
  let got: unknown;
  const { status, stderr, env } = await call('CHECK', async (request) => {
    got = await request.ipam('ipam').add();
  });
  expect([status, stderr, env.CNI_COMMAND]).toEqual([0, 'hello\n', 'CHECK']);
  expect(got).toEqual({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] });
  expect(log()).toEqual([`ADD ${stdin}`]);
});

test('a delegate cannot be found without CNI_PATH (protocol 103, second half)', async () => {
  const around = { env: {}, writeStderr() {} };
  const input = new Input(() => stdin);
  const delegate = delegateTo('ipam', { around, input, cniVersion: '1.1.0', undo: new Undo(), servePlugin });
  await expect(delegate.add()).rejects.toThrow('no paths provided');
  await expect(delegate.del()).rejects.toThrow('no paths provided');
});

test('all commands reach the delegate', async () => {
  const log = child('ipam', {});
  await call('DEL', async (request) => {
    const ipam = request.ipam('ipam');
    await ipam.check();
    await ipam.del();
    await ipam.gc();
    await ipam.status();
  });
  expect(log()).toEqual(['CHECK', 'DEL', 'GC', 'STATUS'].map((command) => `${command} ${stdin}`));
});

test('an ADD that fails after its delegate succeeded gives the address back', async () => {
  const log = child('ipam', { ADD: printed });
  const { answer } = await call('ADD', async (request) => {
    await request.ipam('ipam').add();
    throw new Error('no veth');
  });
  expect(answer).toEqual({ code: 999, msg: 'no veth' });
  expect(log()).toEqual([`ADD ${stdin}`, `DEL ${stdin}`]);
});

test('a delegate that fails is told to clean up, and its error is the answer', async () => {
  const log = child('ipam', { ADD: `echo '{"code":11,"msg":"full","details":"d"}'; exit 1` });
  const { status, answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect([status, answer]).toEqual([1, { code: 11, msg: 'full', details: 'd' }]);
  expect(log()).toEqual([`ADD ${stdin}`, `DEL ${stdin}`]);
});

test.each([
  'failed to allocate for range 0: 10.0.0.2 has been allocated to c1, duplicate allocation is not allowed',
  'failed to allocate for range 0: requested IP address 10.0.0.2 is not available in range set 10.0.0.1-10.0.0.254',
])('a delegate that refuses because the address is taken is not told to release it: %s', async (msg) => {
  const log = child('ipam', { ADD: `echo '${JSON.stringify({ code: 999, msg })}'; exit 1` });
  const { answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect(answer).toEqual({ code: 999, msg });
  expect(log()).toEqual([`ADD ${stdin}`]);
});

test('a delegate that printed no result is told to clean up', async () => {
  const log = child('ipam', { ADD: 'echo x' });
  const { answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect(answer).toMatchObject({ code: 6, msg: expect.stringMatching(/^failed to unmarshal raw result: /) });
  expect(log()).toHaveLength(2);
});

test('a delegate whose cleaning up fails too is reported with both errors', async () => {
  child('ipam', { ADD: `echo '{"code":11,"msg":"full"}'; exit 1`, DEL: 'exit 2' });
  const { answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect(answer).toEqual({
    code: 11,
    msg: 'full',
    details: 'the DEL of ipam after it failed too: netplugin failed with no error message: exit status 2',
  });
});

test('what stands in the way of a delegate and of its cleaning up is told once', async () => {
  const same = `echo '{"code":11,"msg":"the store cannot be opened","details":"EROFS"}'; exit 1`;
  child('ipam', { ADD: same, DEL: same });
  const { answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect(answer).toEqual({
    code: 11,
    msg: 'the store cannot be opened',
    details: 'EROFS; the DEL of ipam after it failed for the same reason',
  });
});

test('an error whose details are its message has no details', async () => {
  child('ipam', { ADD: `echo '{"code":11,"msg":"open x: EROFS","details":"EROFS"}'; exit 1` });
  const { answer } = await call('ADD', (request) => request.ipam('ipam').add());
  expect(answer).toEqual({ code: 11, msg: 'open x: EROFS' });
});

test.each(['../ipam', 'a/b', '..'])('a delegate is never a path: %s', async (type) => {
  const { answer } = await call('ADD', (request) => request.ipam(type).add());
  expect(answer).toEqual({ code: 999, msg: `invalid plugin name: ${type}` });
});

/** A delegate of the same program: `ipam` in the folder is the file this test runs from. */
function inProcess(plugin: Plugin): Partial<Process> {
  symlinkSync(process.execPath, join(folder, 'ipam'));
  return { inProcess: (type) => (type === 'ipam' ? plugin : undefined) };
}

function ipamWith(ran: string[], add: (request: Request<unknown>) => Result): Plugin {
  return definePlugin({
    type: 'ipam',
    config: () => z.object(networkConfig),
    add(request) {
      ran.push(`ADD ${request.stdin}`);
      return add(request);
    },
    check: () => void ran.push('CHECK'),
    del: () => void ran.push('DEL'),
    gc: () => void ran.push('GC'),
    status() {
      throw new CniError(50, 'range full');
    },
  });
}

test('a delegate of the same program answers without a process of its own', async () => {
  const ran: string[] = [];
  const plugin = ipamWith(ran, ({ log }) => {
    log('hello');
    return { ips: [{ address: '10.0.0.2/24' }] };
  });
  const { status, answer, stderr } = await call(
    'ADD',
    (request) => request.ipam('ipam').add(),
    inProcess(plugin),
  );
  expect([status, stderr, ran]).toEqual([0, 'hello\n', [`ADD ${stdin}`]]);
  expect(answer).toEqual({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] });
});

test('a delegate of the same program gets what its caller has read, not its text again', async () => {
  let seen: unknown;
  const plugin = ipamWith([], ({ json }) => {
    seen = json;
    return { ips: [{ address: '10.0.0.2/24' }] };
  });
  let own: unknown;
  const doing: Doing = ({ json, ipam }) => {
    own = json;
    return ipam('ipam').add();
  };
  expect((await call('ADD', doing, inProcess(plugin))).status).toBe(0);
  expect(own).toEqual(JSON.parse(stdin));
  expect(seen).toBe(own);
});

test("the result of a delegate of the same program is what the configuration's version can say, and nobody else's", async () => {
  const made = {
    interfaces: [{ name: 'eth0', mtu: 1400, colour: 'red' }],
    ips: [{ address: '::FFFF:10.0.0.2/120' }],
  };
  const plugin = ipamWith([], () => made);
  let got: Result | undefined;
  const readStdin = () => stdin.replace('1.1.0', '0.4.0');
  const doing: Doing = async ({ ipam }) => {
    got = await ipam('ipam').add();
    return {};
  };
  expect((await call('ADD', doing, { ...inProcess(plugin), readStdin })).status).toBe(0);
  made.interfaces[0]!.name = 'changed';
  const { interfaces: [eth0 = { name: '' }] = [], ...rest } = got ?? {};
  expect(rest).toEqual({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/24' }] });
  expect({ ...eth0, ...eth0[others] }).toMatchObject({ name: 'eth0', colour: 'red' });
  expect(eth0).not.toHaveProperty('mtu');
});

test('a failing delegate of the same program is treated as a child would be', async () => {
  const ran: string[] = [];
  const plugin = ipamWith(ran, ({ undo }) => {
    undo.add('its file', () => void ran.push('undone'));
    throw new CniError(11, 'full', 'd');
  });
  const options = inProcess(plugin);
  const add = await call('ADD', (request) => request.ipam('ipam').add(), options);
  expect(add.answer).toEqual({ code: 11, msg: 'full', details: 'd' });
  expect(ran).toEqual([`ADD ${stdin}`, 'undone', 'DEL']);
  const status = await call('STATUS', (request) => request.ipam('ipam').status(), options);
  expect([status.status, status.answer]).toEqual([1, { code: 50, msg: 'range full' }]);
});

test('a file that is not this program is a child process even if this program knows its name', async () => {
  const log = child('ipam', { ADD: printed });
  const ran: string[] = [];
  const known = { inProcess: () => ipamWith(ran, () => ({})) };
  const { status } = await call('ADD', (request) => request.ipam('ipam').add(), known);
  expect([status, ran, log()]).toEqual([0, [], [`ADD ${stdin}`]]);
});
