import { libc } from './internal/calls.ts';

const CLOCK_REALTIME = 0;

/** Microseconds since 1970, which Date tells in whole milliseconds only. */
export function wallMicroseconds(): number {
  const timespec = new Uint8Array(16);
  libc().clock_gettime(CLOCK_REALTIME, timespec);
  const view = new DataView(timespec.buffer);
  const seconds = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  return seconds * 1_000_000 + Math.floor(view.getUint32(8, true) / 1000);
}
