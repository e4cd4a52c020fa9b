import { lockFile } from './file-lock.ts';

/**
 * Runs work that looks first and changes then, while no other plugin of this host that does so by this lock. It is on
 * the network namespace itself (its file), so it needs no folder, and hosts in other namespaces do not wait for each
 * other.
 */
export function oneAtATime<T>(work: () => T): T {
  const lock = lockFile('/proc/thread-self/ns/net', 0);
  try {
    return work();
  } finally {
    lock.unlock();
  }
}
