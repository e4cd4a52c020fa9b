import { kernelWrite } from './fault.ts';
import { closeFile, openFile, openFlags, readText, writeWhole } from './file.ts';
import { isMissing } from './syscall-error.ts';

/**
 * Kernel settings under /proc/sys, by their path with slashes ('net/ipv4/conf/eth0.5/arp_notify'), so that a dot in
 * a link's name is nothing special. /proc/sys/net follows the calling thread's network namespace: read and write
 * inside `netns.run`.
 */
export function readSysctl(key: string): string {
  return readText(`/proc/sys/${key}`).trim();
}

/** The same; undefined where the kernel, or a link, has no such setting. */
export function readSysctlIfAny(key: string): string | undefined {
  try {
    return readSysctl(key);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether two texts are the same value: the kernel prints `4096 87380 6291456` with tabs, and `01` as `1`. */
export function isSameSysctl(a: string, b: string): boolean {
  const [words, others] = [a.trim().split(/\s+/), b.trim().split(/\s+/)];
  return words.length === others.length && words.every((word, i) => isSameWord(word, others[i] ?? ''));
}

function isSameWord(a: string, b: string): boolean {
  const whole = /^-?\d{1,40}$/; // more digits than the kernel has for any number
  return a === b || (whole.test(a) && whole.test(b) && BigInt(a) === BigInt(b));
}

/** Writes the value. Throws `open /proc/sys/<key>: <errno text>`, or `write …` where the kernel refuses the value. */
export function writeSysctl(key: string, value: string): void {
  const path = `/proc/sys/${key}`;
  kernelWrite(`write ${key}`);
  const fd = openFile(path, openFlags.writeOnly | openFlags.truncate);
  try {
    writeWhole(fd, new TextEncoder().encode(value), path);
  } finally {
    closeFile(fd);
  }
}

/** Writes only when the value differs, so that a read-only /proc/sys that already says the right thing is fine. */
export function ensureSysctl(key: string, value: string): void {
  if (readSysctl(key) !== value) writeSysctl(key, value);
}
