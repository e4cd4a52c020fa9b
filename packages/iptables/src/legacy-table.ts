import { readText } from '@cni-ts/libc/file';
import { errnoOf } from '@cni-ts/libc/syscall-error';

/**
 * Whether somebody has touched this table of the older kind in this namespace: the kernel lists those in a file, so
 * that no program need be started to know that there is none.
 */
export function hasLegacyTable(family: 4 | 6, table: string): boolean {
  const names = `/proc/thread-self/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`;
  try {
    return readText(names).split('\n').includes(table);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'EACCES') return false; // a kernel without them; nobody's rules either way
    throw error;
  }
}
