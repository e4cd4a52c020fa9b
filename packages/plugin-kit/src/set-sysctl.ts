import { readSysctl, writeSysctl } from '@cni-ts/libc/sysctl';
import type { Undo } from '@cni-ts/skeleton/undo';

/** Sets a kernel setting of the calling thread's namespace unless it has the value already, and can take it back. */
export function setSysctl(key: string, value: string, undo?: Undo): void {
  const before = readSysctl(key);
  if (before === value) return;
  undo?.add(`${key}=${value}`, () => writeSysctl(key, before));
  writeSysctl(key, value);
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
    if (
      error instanceof Error &&
      'code' in error &&
      typeof error.code === 'string' &&
      tolerated.has(error.code)
    )
      return false;
    throw error;
  }
}

const tolerated = new Set(['ENOENT', 'EROFS', 'EACCES', 'EPERM', 'EINVAL']);
