import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runProgram } from './run-program.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-program-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const program = (content: string | Buffer, mode = 0o755) => {
  const path = join(dir, 'p');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
};
const env = { PATH: process.env.PATH ?? '' };
const run = (path: string, options: { stdin?: string; signal?: AbortSignal; busyPause?: number } = {}) =>
  runProgram(path, { stdin: '', env, ...options });

test('all of stdin arrives, however much it is', async () => {
  const stdin = 'x'.repeat(3_000_000);
  expect(await run(program('#!/bin/sh\nwc -c\n'), { stdin })).toEqual({
    why: '',
    stdout: '3000000\n',
    stderr: '',
  });
});

test('a program that does not read its stdin is no failure', async () => {
  const stdin = 'x'.repeat(3_000_000);
  expect(await run(program('#!/bin/sh\necho ok\n'), { stdin })).toEqual({
    why: '',
    stdout: 'ok\n',
    stderr: '',
  });
});

test('the program gets this environment and no other, and no arguments', async () => {
  const path = program('#!/bin/sh\necho "$#"; env\n');
  const { stdout } = await runProgram(path, { stdin: '', env: { PATH: env.PATH, A: '1' } });
  const lines = stdout.split('\n').filter((line) => !/^(_|PWD|OLDPWD|SHLVL)=/.test(line));
  expect(lines.sort()).toEqual(['', '0', 'A=1', `PATH=${env.PATH}`]);
});

test('an exit status and both outputs are told apart', async () => {
  expect(await run(program('#!/bin/sh\necho out; echo err >&2; exit 3\n'))).toEqual({
    why: 'exit status 3',
    stdout: 'out\n',
    stderr: 'err\n',
  });
});

test('a crash is named by its signal', async () => {
  expect((await run(program('#!/bin/sh\nkill -SEGV $$\n'))).why).toBe('signal: segmentation fault');
  expect((await run(program('#!/bin/sh\nkill -KILL $$\n'))).why).toBe('signal: killed');
});

test('a program that may not be executed says so', async () => {
  const path = program('#!/bin/sh\n', 0o644);
  expect((await run(path)).why).toBe(`fork/exec ${path}: permission denied`);
});

test('an environment that cannot be handed over keeps the program from starting', async () => {
  const path = program('#!/bin/sh\n');
  const start = (value: string) => runProgram(path, { stdin: '', env: { ...env, CNI_ARGS: value } });
  expect((await start('a\0b')).why).toBe(`fork/exec ${path}: invalid argument`);
  expect((await start('x'.repeat(3_000_000))).why).toBe(`fork/exec ${path}: argument list too long`);
});

test('a program whose interpreter is missing says so', async () => {
  const path = program('#!/none/sh\n');
  expect((await run(path)).why).toBe(`fork/exec ${path}: no such file or directory`);
});

test('a file of unknown format is not handed to a shell', async () => {
  for (const content of ['touch evil\n', Buffer.from([1, 2, 3, 0]), '']) {
    const path = program(content);
    expect((await run(path)).why).toBe(`fork/exec ${path}: exec format error`);
  }
});

test('a signal that came before the start keeps the program from starting', async () => {
  const path = program('#!/bin/sh\n');
  expect((await run(path, { signal: AbortSignal.abort() })).why).toBe('context canceled');
  const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
  expect((await run(path, { signal: late })).why).toBe('context deadline exceeded');
});

test('a program that is still being written is started when it is whole (protocol 102)', async () => {
  const path = program('#!/bin/sh\necho done\n');
  const writer = openSync(path, 'r+');
  let whole = false;
  setTimeout(() => {
    closeSync(writer);
    whole = true;
  }, 150);
  const ending = await run(path, { busyPause: 100 });
  expect(whole).toBe(true);
  expect(ending).toEqual({ why: '', stdout: 'done\n', stderr: '' });
});

test('a program that stays busy is reported after six attempts (protocol 102)', async () => {
  const path = program('#!/bin/sh\n');
  const writer = openSync(path, 'r+');
  const before = performance.now();
  expect((await run(path, { busyPause: 20 })).why).toBe(`fork/exec ${path}: text file busy`);
  // Five pauses; a timer may be a millisecond early.
  expect(performance.now() - before).toBeGreaterThan(90);
  closeSync(writer);
});
