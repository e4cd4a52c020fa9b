import { readFileSync, writeFileSync } from 'node:fs';
import { kernelWrite } from './fault.ts';
import { fileError } from './syscall-error.ts';

/**
 * Kernel settings under /proc/sys, by their path with slashes ('net/ipv4/conf/eth0.5/arp_notify'), so that a dot in
 * a link's name is nothing special. /proc/sys/net follows the calling thread's network namespace: read and write
 * inside `netns.run`.
 */
export function readSysctl(key: string): string {
  const path = `/proc/sys/${key}`;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw fileError('open', path, error);
  }
}

/** Writes the value. Throws `open /proc/sys/<key>: <errno text>`, or `write …` where the kernel refuses the value. */
export function writeSysctl(key: string, value: string): void {
  const path = `/proc/sys/${key}`;
  kernelWrite(`write ${key}`);
  try {
    writeFileSync(path, value);
  } catch (error) {
    throw fileError(isRefused(error) ? 'write' : 'open', path, error);
  }
}

/** Writes only when the value differs, so that a read-only /proc/sys that already says the right thing is fine. */
export function ensureSysctl(key: string, value: string): void {
  if (readSysctl(key) !== value) writeSysctl(key, value);
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'write';
}
