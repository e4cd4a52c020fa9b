import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeProgram } from '@cni-ts/testing/shell';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processExecutor } from './executor.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cni-path-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const { find } = processExecutor();
const folder = (name: string) => {
  const path = join(dir, name);
  mkdirSync(path);
  return path;
};

test('the search for a plugin says what it was asked and where it looked (protocol 97)', () => {
  const [one, two] = [folder('one'), folder('two')];
  expect(() => find('', [one])).toThrow(/^no plugin name provided$/);
  expect(() => find('a/b', [one])).toThrow(/^invalid plugin name: a\/b$/);
  expect(() => find('p', [])).toThrow(/^no paths provided$/);
  expect(() => find('p', [one, two])).toThrow(`failed to find plugin "p" in path [${one} ${two}]`);
});

test('the first regular file wins, through links too; a folder of that name does not count (protocol 97)', () => {
  const [one, two, three] = [folder('one'), folder('two'), folder('three')];
  mkdirSync(join(one, 'p'));
  writeFileSync(join(three, 'p'), '');
  expect(find('p', [one, two, three])).toBe(join(three, 'p'));
  symlinkSync(join(three, 'p'), join(two, 'p'));
  expect(find('p', [one, two, three])).toBe(join(two, 'p'));
});

test('stderr of a plugin that succeeded is handed on after it ended (protocol 91)', async () => {
  const seen: string[] = [];
  const program = join(dir, 'p');
  writeProgram(program, '#!/bin/sh\necho one >&2; echo two >&2\n');
  const { run } = processExecutor({ stderr: (text) => seen.push(text) });
  await run({ program, stdin: '', env: {} });
  expect(seen).toEqual(['one\ntwo\n']);
});
