/**
 * Memory of one plugin process at the end of its work: it is held at its exit, when it has everything it ever
 * allocated and did not give back, and looked at in /proc. Two of the same kind are held together, for two containers:
 * pages of the program's file that both have are shared, as they are on a host with more than one plugin at work,
 * and what one has for itself is private.
 */
import { readFileSync } from 'node:fs';
import type { Child } from '@cni-ts/libc/child';
import type { Attachment, Verb } from './attachment.ts';

export interface Memory {
  /** Private_Clean and Private_Dirty of /proc/‹pid›/smaps_rollup, in MB (10⁶ bytes). */
  readonly private: number;
  /** The most it ever had in memory, shared pages included (VmHWM), in MB. */
  readonly peak: number;
}

/** Runs a verb for two attachments, each program held at its exit; the largest of the list's programs by each. */
export function measureMemory(pair: readonly [Attachment, Attachment], verb: Verb): Memory {
  const calls = pair.map((attachment) => attachment.calls(verb));
  let most: Memory = { private: 0, peak: 0 };
  let stdouts = ['', ''];
  for (;;) {
    const next = calls.map((one, at) => one.next(stdouts[at] ?? ''));
    const children: Child[] = [];
    const inputs: string[] = [];
    for (const [at, one] of next.entries()) {
      if (one.done) continue;
      const child = pair[at]!.host.start(one.value.command); // reason: as many attachments as generators
      child.holdAtExit();
      children.push(child);
      inputs.push(one.value.input);
    }
    const [first, second] = children;
    if (!first || !second) return most;
    first.give(inputs[0] ?? '');
    reachExit(first);
    // It may wait for a lock that the first one has as long as it lives; what it has by then is good enough.
    second.give(inputs[1] ?? '');
    const held = second.waitForExit(3);
    const seen = memoryOf(first.pid);
    most = { private: Math.max(most.private, seen.private), peak: Math.max(most.peak, seen.peak) };
    first.release();
    if (!held) reachExit(second);
    second.release();
    stdouts = children.map((child) => {
      const { status, stdout, stderr } = child.wait();
      if (status !== 0) throw new Error(`${verb} by ${child.command.file} failed: ${stdout}${stderr}`);
      return stdout;
    });
  }
}

function reachExit(child: Child): void {
  if (child.waitForExit()) return;
  child.kill();
  throw new Error(`${child.command.file} did not come to its end within a minute`);
}

function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (text: string, name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024) / 1e6;
  return {
    private: megabytes(rollup, 'Private_Clean') + megabytes(rollup, 'Private_Dirty'),
    peak: megabytes(status, 'VmHWM'),
  };
}
