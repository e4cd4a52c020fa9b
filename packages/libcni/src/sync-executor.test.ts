import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { syncExecutor } from './sync-executor.ts';

let dir: string;
let told: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-sync-'));
  told = '';
});
afterEach(() => rmSync(dir, { recursive: true }));

const program = (content: string, mode = 0o755) => {
  const path = join(dir, 'p');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
};
const env = { PATH: process.env.PATH ?? '' };
const executor = syncExecutor({
  stderr: (text) => {
    told += text;
  },
  busyPause: 1,
});
const run = (path: string, more: { env?: Record<string, string>; signal?: AbortSignal } = {}) =>
  executor.run({ program: path, stdin: 'in', env, ...more });

test('a plugin gets stdin and environment, and what it says on stderr is handed on', async () => {
  const path = program('#!/bin/sh\ncat; echo " $CNI_COMMAND"; echo said >&2\n');
  expect(executor.find('p', ['/none', dir])).toBe(path);
  expect(await run(path, { env: { ...env, CNI_COMMAND: 'ADD' } })).toBe('in ADD\n');
  expect(told).toBe('said\n');
});

test('a plugin that fails is an error with its words, or with how it ended', async () => {
  const failing = program('#!/bin/sh\necho \'{"code":11,"msg":"m","details":"d"}\'; echo said >&2; exit 1\n');
  await expect(run(failing)).rejects.toMatchObject({ code: 11, message: 'm', details: 'd' });
  await expect(run(program('#!/bin/sh\nkill -KILL $$\n'))).rejects.toThrow(/: signal: killed$/);
  expect(told).toBe('');
});

test('a plugin that cannot be started says why', async () => {
  const start = (path: string, value = '') => run(path, { env: { ...env, CNI_ARGS: value } });
  const why = (text: string) =>
    `netplugin failed with no error message: fork/exec ${join(dir, 'p')}: ${text}`;
  await expect(start(program('#!/bin/sh\n'), 'a\0b')).rejects.toThrow(why('invalid argument'));
  await expect(start(program('#!/bin/sh\n'), 'x'.repeat(3_000_000))).rejects.toThrow(
    why('argument list too long'),
  );
  await expect(start(program('#!/none/sh\n'))).rejects.toThrow(why('no such file or directory'));
  await expect(start(program('touch evil\n'))).rejects.toThrow(why('exec format error'));
  await expect(start(program('#!/bin/sh\n', 0o644))).rejects.toThrow(why('permission denied'));
});

test('a plugin that stays busy is reported after six attempts (protocol 102)', async () => {
  const path = program('#!/bin/sh\n');
  const writer = openSync(path, 'r+');
  await expect(run(path)).rejects.toThrow(/: text file busy$/);
  closeSync(writer);
});

test('a signal that came before the start keeps the plugin from starting', async () => {
  const path = program('#!/bin/sh\necho started >&2\n');
  await expect(run(path, { signal: AbortSignal.abort() })).rejects.toThrow(/: context canceled$/);
  const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  await expect(run(path, { signal: late })).rejects.toThrow(/: context deadline exceeded$/);
  expect(told).toBe('');
});
