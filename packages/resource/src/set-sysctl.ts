import { errnoOf } from '@cni-ts/libc/syscall-error';
import { readSysctl, writeSysctl } from '@cni-ts/libc/sysctl';
import type { Undo } from '@cni-ts/skeleton/undo';

/** Sets a kernel setting of the calling thread's namespace unless it has the value already, and can take it back. */
export function setSysctl(key: string, value: string, undo?: Undo): void {
  if (!undo) {
    writeNewSysctl(key, value);
    return;
  }
  const before = readSysctl(key);
  if (before === value) return;
  undo.make(
    `${key}=${value}`,
    () => writeSysctl(key, value),
    () => writeSysctl(key, before),
  );
}

/** Of a link that goes with the attachment: nothing has to be known of it before. Where it cannot be written, as in a
 *  read-only /proc/sys, it may have the value all the same. */
function writeNewSysctl(key: string, value: string): void {
  try {
    writeSysctl(key, value);
  } catch (error) {
    const code = errnoOf(error);
    if ((code !== 'EROFS' && code !== 'EACCES' && code !== 'EPERM') || readSysctl(key) !== value) throw error;
  }
}

/**
 * Like setSysctl, for settings that merely make things better: kernels without IPv6 lack them, and a read-only
 * /proc/sys refuses them. Says whether the setting has the value now.
 */
export function trySysctl(key: string, value: string, undo?: Undo): boolean {
  try {
    setSysctl(key, value, undo);
    return true;
  } catch (error) {
    // An injected or unknown failure is not one of the two that may be passed over.
    if (tolerated.has(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

const tolerated = new Set(['ENOENT', 'EROFS', 'EACCES', 'EPERM', 'EINVAL']);
