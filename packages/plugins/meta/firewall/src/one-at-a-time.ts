import { lockFile } from '@cni-ts/libc/file-lock';

/**
 * Runs work that looks for what all attachments share (chains, jumps, a bridge's isolation) and makes what is
 * missing: two at once would both find it missing. Only the first attachments on a host come here. The lock is on the
 * network namespace itself (its file), so it needs no folder, and hosts in other namespaces do not wait.
 */
export function oneAtATime<T>(work: () => T): T {
  const lock = lockFile('/proc/thread-self/ns/net', 0);
  try {
    return work();
  } finally {
    lock.unlock();
  }
}
