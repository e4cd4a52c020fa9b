import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { kernelHas } from './kernel.ts';
import { scenarios } from './scenarios.ts';

test('a kind of link is asked of the kernel, in a namespace of its own', () => {
  const links = () => spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout;
  const before = links();
  expect(kernelHas('macvlan')).toBe(true);
  for (const kind of new Set(scenarios.flatMap(({ kinds = [] }) => kinds))) kernelHas(kind);
  expect(links()).toBe(before);
});
