import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { emphasis } from './emphasis.ts';

const terminal = { isTTY: true };
const root = resolve(import.meta.dirname, '../..');

test('a terminal gets escape codes', () => {
  expect(emphasis(terminal, { TERM: 'xterm' }).bold('Build')).toBe('\x1b[1mBuild\x1b[0m');
  expect(emphasis(terminal, { NO_COLOR: '' }).cyan('$ ip link')).toBe('\x1b[36m$ ip link\x1b[0m');
});

test.for([
  ['what is no terminal', {}, {}],
  ['a terminal where NO_COLOR is set', terminal, { NO_COLOR: '1' }],
  ['a terminal that knows none', terminal, { TERM: 'dumb' }],
] as const)('%s gets none', ([, stream, env]) => {
  const { bold, cyan } = emphasis(stream, env);
  expect(bold('Build') + cyan('$ ip link')).toBe('Build$ ip link');
});

/** The demonstrations', and the picture that cnitool draws of a node. */
const places = ['e2e/src/emphasis', 'packages/cli/src/inspect/'];

test('no other source writes escape codes', () => {
  const sources = execFileSync('git', ['ls-files', '*.ts', 'tools/setup/*', 'tools/*/*'], { cwd: root });
  const guilty = [...new Set(sources.toString().trim().split('\n'))].filter(
    (file) =>
      !places.some((place) => file.startsWith(place)) &&
      /\\(x1b|u001b|033|e)\[/.test(readFileSync(resolve(root, file), 'utf8')),
  );
  expect(guilty).toEqual([]);
});
