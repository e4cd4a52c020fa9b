import type { Now } from '@cni-ts/dhcp-protocol/clock';
import { bootMilliseconds, type EventLoop } from '@cni-ts/libc/event-loop';
import { readText } from '@cni-ts/libc/file';
import type { Flags } from './flags.ts';
import type { IdleCloser } from './idle-closer.ts';
import type { LeaseStore } from './lease-store.ts';

/** What everything in the daemon has around it. */
export interface Around {
  readonly loop: EventLoop;
  readonly flags: Flags;
  readonly store: LeaseStore;
  readonly closer: IdleCloser;
  now(): Now;
  /** One line, without its time. */
  log(line: string): void;
}

/** The clocks of this machine. */
export function clock(): () => Now {
  const boot = readText('/proc/sys/kernel/random/boot_id').trim();
  return () => ({ boottime: bootMilliseconds(), wall: Date.now(), boot });
}

/** The daemon's log, as the reference writes it: `2026/11/29 21:30:00 …`, local time being that of the environment. */
export function logLine(line: string): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())}`;
  // A line is a line, whatever a server or a client put into it.
  const safe = line.replaceAll('\n', '\\n');
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())} ${safe}\n`;
}
