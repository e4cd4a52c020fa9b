import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { netnsPath } from './netns-argument.ts';

test.each([
  ['/var/run/netns/web', '/var/run/netns/web'],
  ['./web', './web'],
  ['netns/web', 'netns/web'],
  ['web', '/run/netns/web'],
  ['cni-0d5f6b8a', '/run/netns/cni-0d5f6b8a'],
  ['pid:1234', '/proc/1234/ns/net'],
])('%j names the namespace %j', (word, path) => {
  expect(netnsPath(word)).toBe(path);
});

test('a file of the current folder is meant before a name', () => {
  expect(existsSync('package.json')).toBe(true);
  expect(netnsPath('package.json')).toBe('package.json');
});

test.each(['pid:', 'pid:0', 'pid:x', 'pid:-1', 'pid:12345678901'])('%j is told to be no process', (word) => {
  expect(() => netnsPath(word)).toThrow(/write the number of a process after "pid:"/);
});
