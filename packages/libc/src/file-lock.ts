import { closeFile, openFile, openFlags, readText } from './file.ts';
import { statDescriptor } from './file-status.ts';
import { libc } from './internal/calls.ts';
import { waitOn } from './interruption.ts';
import { fileError, SyscallError } from './syscall-error.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EINTR = 4;
const EAGAIN = 11;
/** What the engine's flock says after two minutes. */
const ETIMEDOUT = 110;

/**
 * Takes an exclusive BSD lock (flock(2)) on the file at `path`, creating it empty with `mode`; waits for two minutes at
 * most (under Node as long as it takes), and until a signal asks the process to stop. Closing the descriptor drops the
 * lock, and so does the end of the process. It excludes every flock holder, the Go plugins included; fcntl locks are
 * another world. Throws a file error (`open <path>: …`), or Interrupted. `open`: openRegular, where nothing but a regular
 * file belongs at the path.
 */
export function lockFile(path: string, mode: number, open = openFile): { unlock(): void } {
  const fd = open(path, openFlags.readOnly | openFlags.create, mode);
  try {
    while (libc().flock(fd, LOCK_EX) !== 0) {
      const errno = libc().errno();
      if (errno === ETIMEDOUT) throw new Error(`flock ${path}: ${heldBy(fd)} has kept it for two minutes`);
      if (errno !== EINTR) throw fileError('flock', path, new SyscallError('flock', errno));
      waitOn(`the lock ${path}`);
    }
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  return { unlock: () => closeFile(fd) };
}

/** Takes the lock of a folder, without waiting; undefined where another process has it. Throws a file error. */
export function tryLockFolder(path: string): { unlock(): void } | undefined {
  return tryLock(openFile(path, openFlags.readOnly), path);
}

function tryLock(fd: number, path: string): { unlock(): void } | undefined {
  if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return { unlock: () => closeFile(fd) };
  const errno = libc().errno();
  closeFile(fd);
  if (errno === EAGAIN) return undefined;
  throw fileError('flock', path, new SyscallError('flock', errno));
}

/** As `lockFile`, without waiting; undefined where another process has the lock. Throws a file error. */
export function tryLockFile(path: string, mode: number, open = openFile): { unlock(): void } | undefined {
  return tryLock(open(path, openFlags.readOnly | openFlags.create, mode), path);
}

/** Who has the lock, by /proc/locks: `1: FLOCK  ADVISORY  WRITE 3151 00:25:1049 0 EOF`, the file's inode the last. */
function heldBy(fd: number): string {
  const { ino } = statDescriptor(fd);
  const line = readText('/proc/locks')
    .split('\n')
    .find((one) => one.includes(' FLOCK ') && !one.includes('->') && one.includes(`:${ino} `));
  const pid = line && /(\d+) \S+:\d+ /.exec(line)?.[1];
  return pid ? `process ${pid}` : 'another process';
}
