import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { definitions } from '../../../packages/libc/src/internal/calls.ts';
import { workspaceRoot } from './workspace.ts';

test('no function of the compiled program is one that only older releases of musl have', () => {
  // musl 1.2.4 took away the second names that end so; glibc has some functions under those alone.
  const names = Object.keys(definitions).filter((name) => name.endsWith('64'));
  const engine = readFileSync(join(workspaceRoot, 'packages/engine/src/engine.c'), 'utf8');
  expect(names).not.toEqual([]);
  for (const name of names) expect(engine).toMatch(new RegExp(`^#define ${name} \\w+$`, 'm'));
});
