import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { during } from './progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('long work is told of every quarter of a minute, and no more when it is done', async () => {
  const lines: string[] = [];
  const work = new Promise<number>((done) => setTimeout(() => done(7), 40_000));
  const waiting = during('compiling', work, (line) => lines.push(line));
  await vi.advanceTimersByTimeAsync(100_000);
  expect(await waiting).toBe(7);
  expect(lines).toEqual(['compiling is still running (15 s)', 'compiling is still running (30 s)']);
});

test('short work is not, and its error is passed on', async () => {
  const lines: string[] = [];
  await expect(during('it', Promise.reject(new Error('no')), (line) => lines.push(line))).rejects.toThrow(
    'no',
  );
  await vi.advanceTimersByTimeAsync(100_000);
  expect(lines).toEqual([]);
});
