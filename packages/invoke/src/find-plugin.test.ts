import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findPlugin } from './find-plugin.ts';

const root = mkdtempSync(join(tmpdir(), 'find-plugin-'));
afterAll(() => rmSync(root, { recursive: true }));
const [first, second] = [join(root, 'first'), join(root, 'second')];
for (const folder of [first, second]) mkdirSync(folder);
mkdirSync(join(first, 'folder'));
for (const path of [join(first, 'both'), join(second, 'both'), join(second, 'folder')])
  writeFileSync(path, '');
symlinkSync('both', join(first, 'link'));

test('the first folder that has a regular file of the name wins, links included', () => {
  expect(findPlugin('both', [first, second])).toBe(join(first, 'both'));
  expect(findPlugin('folder', [first, second])).toBe(join(second, 'folder'));
  expect(findPlugin('link', [`${first}/`])).toBe(join(first, 'link'));
});

test('an empty folder is the working directory', () => {
  expect(findPlugin('package.json', [''])).toBe('./package.json');
});

test.each([
  ['', [first], 'no plugin name provided'],
  ['a/b', [first], 'invalid plugin name: a/b'],
  ['..', [first], 'invalid plugin name: ..'],
  ['both', [], 'no paths provided'],
  ['none', ['/a', '/b'], 'failed to find plugin "none" in path [/a /b]'],
  ['x', [join(first, 'both')], `failed to find plugin "x" in path [${join(first, 'both')}]`],
])('%j in %j cannot be found', (type, folders, text) => {
  expect(() => findPlugin(type, folders)).toThrow(new Error(text));
});
