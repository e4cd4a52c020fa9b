import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { listFolder } from './folder.ts';
import { endProgramsAfter, runToEnd } from './program.ts';
import { errnoOf } from './syscall-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'program-'));
afterAll(() => rmSync(folder, { recursive: true }));

const sh = (script: string, input = '', env = {}) => runToEnd('/bin/sh', ['-c', script], env, input);

test('arguments, environment and input arrive as they are, and nothing else', () => {
  const told = sh('printf "%s|" "$0" "$@" "$A"; cat; env >&2', 'in\0put', { A: 'ä', GONE: undefined });
  expect(told).toMatchObject({ status: 0, signal: undefined, stdout: '/bin/sh|ä|in\0put' });
  expect(told.stderr.split('\n').sort()).toEqual(['', 'A=ä', expect.stringMatching(/^PWD=/)]);
});

test('megabytes pass in both directions at once, and on both outputs', () => {
  const much = 'x'.repeat(3_000_000);
  const { stdout, stderr } = sh('tee /dev/stderr', much);
  expect([stdout.length, stderr.length]).toEqual([much.length, much.length]);
});

test('how it ended: its status, or the signal', () => {
  expect(sh('exit 3')).toMatchObject({ status: 3, signal: undefined });
  expect(sh('kill -KILL $$')).toMatchObject({ status: undefined, signal: 'SIGKILL' });
});

test('where there is a limit a program that goes on is killed, also one that has closed its outputs', () => {
  endProgramsAfter(150);
  try {
    const began = performance.now();
    expect(sh('echo begun; exec sleep 60')).toMatchObject({ signal: 'SIGKILL', stdout: 'begun\n' });
    expect(sh('exec >&- 2>&- <&-; exec sleep 60')).toMatchObject({ signal: 'SIGKILL' });
    // What it left behind holds its outputs.
    expect(sh('sleep 5 & wait')).toMatchObject({ signal: 'SIGKILL' });
    expect(performance.now() - began).toBeLessThan(4000);
    expect(sh('exit 3')).toMatchObject({ status: 3 });
  } finally {
    endProgramsAfter(undefined);
  }
});

test('a program that does not read its input, or dies of a broken pipe as programs do', () => {
  expect(sh('exec 0<&-; echo done', 'x'.repeat(1_000_000))).toMatchObject({ status: 0, stdout: 'done\n' });
  expect(sh('sh -c "kill -PIPE \\$\\$"; echo $?').stdout).toBe('141\n');
});

test.each([
  ['ENOENT', () => runToEnd(join(folder, 'none'), [], {}, '')],
  ['EACCES', () => runToEnd(folder, [], {}, '')],
  ['ENOEXEC', () => runToEnd(textFile(), [], {}, '')],
])('one that cannot be started: %s, and no descriptor is left open', (code, start) => {
  const before = listFolder('/proc/thread-self/fd').length;
  const codes = new Set(Array.from({ length: times }, () => failureOf(start)));
  expect([...codes]).toEqual([code]);
  // Tests beside this one open some of their own.
  expect(listFolder('/proc/thread-self/fd').length - before).toBeLessThan(times);
});

const times = 100;

function failureOf(start: () => unknown): string | undefined {
  try {
    start();
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
}

/** Executable, and of no format that the kernel knows: not for a shell to guess. Written once, by another process: a test
 *  beside this one may start a program while a file is open here for writing, and hands it on for a moment (ETXTBSY). */
function textFile(): string {
  const path = join(folder, 'text');
  const words = `echo 'echo guessed' >"$0"; chmod 755 "$0"`;
  if (!existsSync(path)) spawnSync('sh', ['-c', words, path]);
  return path;
}

test('one that has its time is killed after it, also where it closed its outputs or left a child with them', () => {
  const limited = (script: string) => runToEnd('/bin/sh', ['-c', script], {}, '', 200);
  const started = performance.now();
  expect(limited('echo told; exec sleep 30')).toMatchObject({ signal: 'SIGKILL', stdout: 'told\n' });
  expect(limited('exec >&- 2>&-; exec sleep 30').signal).toBe('SIGKILL');
  expect(limited('sleep 5 & echo told; exec sleep 30')).toMatchObject({
    signal: 'SIGKILL',
    stdout: 'told\n',
  });
  expect(performance.now() - started).toBeLessThan(4000);
  expect(limited('echo told; exit 3')).toMatchObject({ status: 3, stdout: 'told\n' });
});
