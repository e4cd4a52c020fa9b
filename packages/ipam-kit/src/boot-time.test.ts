import { readFileSync, statfsSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { bootTime } from './boot-time.ts';

afterEach(() => {
  vi.useRealTimers();
});

const seconds = (time: bigint | undefined) => Number((time ?? 0n) / 1_000_000_000n);
const uptime = () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);

test('the boot was as long ago as the kernel says, less some seconds to be on the safe side', () => {
  const boot = Date.now() / 1000 - uptime();
  expect(seconds(bootTime('/'))).toBeGreaterThan(boot - 13);
  expect(seconds(bootTime('/'))).toBeLessThan(boot - 8);
});

/** The machine's /run is what this looks at; any file system in memory has what is asked of it. */
const inMemory = '/dev/shm';
const hasTmpfs = statfsSync(inMemory).type === 0x01021994;

test.skipIf(!hasTmpfs)(
  'a clock that was set forward since the boot makes nothing of this boot look older',
  () => {
    const now = Date.now();
    const before = bootTime(inMemory);
    vi.useFakeTimers({ now: now + 10 * 24 * 3600 * 1000, toFake: ['Date'] });
    expect(seconds(bootTime('/')) - seconds(before)).toBeGreaterThan(9 * 24 * 3600);
    expect(seconds(bootTime(inMemory))).toBeLessThanOrEqual(now / 1000);
  },
);

test('where there is nothing to tell by, nothing is older than the boot', () => {
  expect(bootTime('/nonexistent')).toBeUndefined();
});
