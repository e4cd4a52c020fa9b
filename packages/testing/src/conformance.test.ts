/**
 * The suite against itself: a small plugin that keeps every promise passes it. That the same plugin with one fault is
 * reported stands in conformance-faults.test.ts and conformance-chained-faults.test.ts.
 */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { alone, chained, toy } from '../test/toy.ts';
import { conformance } from './conformance.ts';
import { makeHost } from './namespaces.ts';

conformance(toy(), [alone, chained]);

test('a container that has the name of a removed one is another', ({ onTestFinished }) => {
  const { host, end } = makeHost();
  onTestFinished(end);
  const first = host.container('c1');
  first.remove();
  const second = host.container('c1');
  first.remove();
  expect(existsSync(second.path)).toBe(true);
  expect(second.sh('ip -br link')).toContain('lo');
});
