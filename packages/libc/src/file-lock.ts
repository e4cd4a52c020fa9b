import { closeFile, openFile, openFlags } from './file.ts';
import { libc } from './internal/calls.ts';
import { fileError, SyscallError } from './syscall-error.ts';

const LOCK_EX = 2;
const EINTR = 4;

/**
 * Takes an exclusive BSD lock (flock(2)) on the file at `path`, creating it empty with `mode`; waits as long as it
 * takes. Closing the descriptor drops the lock, and so does the end of the process. It excludes every flock holder,
 * the Go plugins included; fcntl locks are another world. Throws a file error (`open <path>: …`). `open`:
 * openRegular, where nothing but a regular file belongs at the path.
 */
export function lockFile(path: string, mode: number, open = openFile): { unlock(): void } {
  const fd = open(path, openFlags.readOnly | openFlags.create, mode);
  while (libc().flock(fd, LOCK_EX) !== 0) {
    const errno = libc().errno();
    if (errno === EINTR) continue;
    closeFile(fd);
    throw fileError('flock', path, new SyscallError('flock', errno));
  }
  return { unlock: () => closeFile(fd) };
}
