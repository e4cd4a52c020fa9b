import { lockFile } from '@cni-ts/libc/file-lock';
import { errnoOf } from '@cni-ts/libc/syscall-error';

const path = '/run/cni-firewall.lock';

/**
 * Runs work that looks for what all attachments share (chains, jumps, a bridge's isolation) and makes what is
 * missing: two at once would both find it missing. Only the first attachments on a host come here.
 */
export function oneAtATime<T>(work: () => T): T {
  let lock: { unlock(): void } | undefined;
  try {
    lock = lockFile(path, 0o600);
  } catch (error) {
    // Without a place for the file there is no order: at worst a rule is there twice, which changes nothing.
    if (!['ENOENT', 'EACCES', 'EROFS', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
  try {
    return work();
  } finally {
    lock?.unlock();
  }
}
