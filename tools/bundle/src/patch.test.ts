import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { applyPatch } from './patch.ts';

const folder = mkdtempSync(join(tmpdir(), 'patch-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'a.c');
beforeEach(() => writeFileSync(file, 'one\ntwo\n\nthree\nfour\n'));

const patch = (head: string, ...lines: string[]) =>
  ['Words first.', '--- x/a.c', '+++ y/a.c', head, ...lines, ''].join('\n');

test('a patch is applied, also where its lines have moved', () => {
  applyPatch(folder, patch('@@ -1,3 +1,4 @@', ' one', '-two', '+2', '+2.5', ' '));
  expect(readFileSync(file, 'utf8')).toBe('one\n2\n2.5\n\nthree\nfour\n');
  applyPatch(folder, patch('@@ -1,2 +1,1 @@ context', '-three', ' four'));
  expect(readFileSync(file, 'utf8')).toBe('one\n2\n2.5\n\nfour\n');
});

test('a patch that does not fit is an error that names the file, and changes nothing', () => {
  expect(() => applyPatch(folder, patch('@@ -2,2 +2,2 @@', ' two', '-three', '+3'))).toThrow(
    `a patch does not fit ${file} at line 2`,
  );
  expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n\nthree\nfour\n');
});

test('a patch that is cut off is an error', () => {
  expect(() => applyPatch(folder, '+++ y/a.c\n@@ -1,9 +1,9 @@\n one')).toThrow('the patch of a.c ends');
});
