import { expect, test } from 'vitest';
import { bootMilliseconds, EventLoop } from './event-loop.ts';
import { libc } from './internal/calls.ts';

/** A pipe's two ends. */
function pipe(): [read: number, write: number] {
  const fds = new Uint8Array(8);
  libc().pipe2(fds, 0o2000000);
  const numbers = new DataView(fds.buffer);
  return [numbers.getInt32(0, true), numbers.getInt32(4, true)];
}

function loopThatThrows(): EventLoop {
  return new EventLoop((error) => {
    throw error;
  });
}

test('timers are done in the order of their times, whatever order they were made in, and cancelled ones are not', async () => {
  const loop = loopThatThrows();
  const done: number[] = [];
  const now = bootMilliseconds();
  const timers = [30, 10, 20, 5, 25, 15, 40].map((after) => loop.at(now + after, () => done.push(after)));
  loop.cancel(timers[2]!);
  loop.cancel(timers[2]!);
  loop.at(now + 45, () => loop.stop());
  await loop.run();
  expect(done).toEqual([5, 10, 15, 25, 30, 40]);
});

test('a timer that is made by another waits for the next round; one that cancels a due one keeps it from being done', async () => {
  const loop = loopThatThrows();
  const done: string[] = [];
  const now = bootMilliseconds();
  const second = { timer: loop.at(now + 1, () => done.push('second')) };
  loop.at(now, () => {
    done.push('first');
    loop.cancel(second.timer);
    loop.after(0, () => {
      done.push('third');
      loop.stop();
    });
  });
  const until = bootMilliseconds() + 5;
  while (bootMilliseconds() < until);
  await loop.run();
  expect(done).toEqual(['first', 'third']);
});

test('ten thousand timers of hours from now that were cancelled are forgotten', async () => {
  const loop = loopThatThrows();
  for (let i = 0; i < 10_000; i++) loop.cancel(loop.after(3_600_000 + i, () => undefined));
  const left = loop.pending;
  expect(left).toBeLessThan(200);
});

test('what can be read is told as long as it is looked at, and writing when it is asked for', async () => {
  const loop = loopThatThrows();
  const [read, write] = pipe();
  const told: string[] = [];
  const readable = {
    fd: read,
    readable: () => {
      told.push(`read ${libc().read(read, new Uint8Array(8), 8)}`);
      loop.after(1, () => {
        loop.unwatch(readable);
        loop.unwatch(readable);
        libc().write(write, new Uint8Array(1), 1);
      });
      loop.after(80, () => loop.stop());
    },
  };
  const writable: { fd: number; readable(): void; writable?: (() => void) | undefined } = {
    fd: write,
    readable: () => void told.push('error'),
  };
  loop.watch(readable);
  loop.watch(writable);
  loop.after(5, () => {
    writable.writable = () => {
      libc().write(write, new Uint8Array(3), 3);
      writable.writable = undefined;
      loop.changed();
    };
    loop.changed();
  });
  loop.after(10_000, () => loop.stop());
  await loop.run();
  expect(told).toEqual(['read 3']);
  libc().close(read);
  libc().close(write);
});

test('what a callback throws is told, and the loop goes on', async () => {
  const failures: unknown[] = [];
  const loop = new EventLoop((error) => failures.push(error));
  loop.after(0, () => {
    throw new Error('one');
  });
  loop.after(5, () => loop.stop());
  await loop.run();
  expect(failures).toEqual([new Error('one')]);
});
