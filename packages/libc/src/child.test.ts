import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Child, Command } from './child.ts';

const sh = (script: string) => new Command('/bin/sh', ['-c', script], { GREETING: 'hello' });

test('it has input, environment, both outputs and an exit status', () => {
  const ended = new Child(sh('read line; echo "$GREETING $line"; echo oops >&2; exit 3'), 'world\n').wait();
  expect(ended).toMatchObject({ status: 3, stdout: 'hello world\n', stderr: 'oops\n' });
});

test('time on the wall and on the processor are told apart', () => {
  const slept = new Child(sh('sleep 0.2'), '').wait();
  expect(slept.wall).toBeGreaterThan(190);
  expect(slept.user + slept.system).toBeLessThan(150);
  expect(slept.minorFaults).toBeGreaterThan(0);
});

test('of several, those that ended are told, and the others wait on', () => {
  const [slow, quick] = [new Child(sh('sleep 0.3; echo slow'), ''), new Child(sh('echo quick'), '')];
  const first = Child.waitAny([slow, quick]);
  expect(first.map(({ child, ended }) => [child, ended.stdout])).toEqual([[quick, 'quick\n']]);
  expect(slow.wait().stdout).toBe('slow\n');
});

test('what takes too long is killed, and that is an error', () => {
  const child = new Child(sh('exec sleep 60'), '');
  expect(() => child.wait(0.1)).toThrow('still running after 0.1 s, and killed: /bin/sh');
  expect(() => readFileSync(`/proc/${child.pid}/status`)).toThrow('ENOENT');
});

test('a program that is not there is an error that names it', () => {
  expect(() => new Child(new Command('/no/such/program', [], {}), '')).toThrow(
    '/no/such/program could not be started: no such file or directory',
  );
});

test('held at its exit it still has its memory, and ends when it is released', () => {
  const child = new Child(sh('read line; echo "$line"'));
  child.holdAtExit();
  expect(child.waitForExit(0.05)).toBe(false);
  child.give('done\n');
  expect(child.waitForExit()).toBe(true);
  expect(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8')).toMatch(/^Private_Dirty: +[1-9]/m);
  child.release();
  expect(child.wait()).toMatchObject({ status: 0, stdout: 'done\n' });
});
