/**
 * Files by system calls. The runtime's own node:fs would do, but loading it takes longer than a whole call of a
 * plugin may, and the compiled program has none.
 *
 * Failures are errors with the errno's name as `code` and `<operation> <path>: <errno text>` as message. What waits ends
 * by Interrupted when a signal asks the process to stop. A path with NUL in it is a SyscallError (EINVAL) everywhere.
 */

import { statDescriptor, typeOfDescriptor } from './file-status.ts';
import { cString, libc } from './internal/calls.ts';
import { failure } from './internal/failure.ts';
import { waitOn } from './interruption.ts';
import { fileError, isMissing, SyscallError } from './syscall-error.ts';
import { systemText } from './system-text.ts';

/** include/uapi/asm-generic/fcntl.h. Descriptors are closed when another program is executed. */
export const openFlags = {
  readOnly: 0,
  writeOnly: 1,
  readWrite: 2,
  create: 0o100,
  exclusive: 0o200,
  truncate: 0o1000,
  append: 0o2000,
  /** Fails with ELOOP on a symbolic link. The number is the architecture's own. */
  noFollow: process.arch === 'arm64' ? 0o100000 : 0o400000,
  /** A FIFO is opened without waiting for its other end. Regular files do not care. */
  nonBlocking: 0o4000,
  /** Only a name for it: neither reads nor writes. */
  path: 0o10000000,
} as const;
const O_CLOEXEC = 0o2000000;
/** Opening a pipe that stands where a file should be does not wait for its other end. Files know no difference. */
const O_NONBLOCK = 0o4000;

const AT_FDCWD = -100;

const EINTR = 4;
const EAGAIN = 11;
const EFBIG = 27;
const POLLIN = 1;
const POLLOUT = 4;

/** open(2). Throws `open <path>: …`. */
export function openFile(path: string, flags: number, mode = 0): number {
  for (;;) {
    const fd = libc().open(cString(path), flags | O_CLOEXEC | O_NONBLOCK, mode);
    if (fd >= 0) return fd;
    if (libc().errno() !== EINTR) throw failure('open', path, 'open');
    waitOn(`the file ${path}`);
  }
}

/**
 * open(2) of a regular file and of nothing else, in a folder where nothing else belongs: reading a FIFO would have no
 * end, and a link leads who knows where. Throws `open <path>: not a regular file`, besides what openFile throws.
 * `follow`: a link to such a file will do.
 */
export function openRegular(path: string, flags: number, mode = 0, follow = false): number {
  let fd: number;
  try {
    fd = openFile(path, flags | openFlags.nonBlocking | (follow ? 0 : openFlags.noFollow), mode);
  } catch (error) {
    // ELOOP: a link. ENXIO: a socket, or a FIFO that nobody reads.
    if (error instanceof Error && 'code' in error && (error.code === 'ELOOP' || error.code === 'ENXIO')) {
      throw notRegular(path, error.code, error);
    }
    throw error;
  }
  const type = typeOfDescriptor(fd);
  // A folder is told by the kernel's own words, at the first read.
  if (type === S_IFREG || type === S_IFDIR) return fd;
  closeFile(fd);
  throw notRegular(path, 'EINVAL');
}

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

function notRegular(path: string, code: string, cause?: unknown): Error {
  const what = code === 'ELOOP' ? 'a symbolic link' : 'not a regular file';
  const text = `open ${path}: ${what}, and nothing but a regular file is opened here; remove it`;
  return Object.assign(new Error(text, { cause }), { code });
}

/** What a regular file (see openRegular) holds, as text. */
export function readRegular(path: string, follow = false): string {
  const fd = openRegular(path, openFlags.readOnly, 0, follow);
  try {
    return textOf(readToEnd(fd, path));
  } finally {
    closeFile(fd);
  }
}

/** Added to a file's path while it is written anew. A process that is killed leaves that. */
export const unfinished = '.new';

/** Writes a regular file as a whole or not at all: under another name, which then replaces what was there. One writer at a
 *  time. Nothing is forced to the disk. */
export function replaceRegular(path: string, text: string, mode: number): void {
  const temporary = path + unfinished;
  try {
    writeRegular(temporary, text, mode);
    renameFile(temporary, path);
  } catch (error) {
    removeFile(temporary); // a full disk
    throw error;
  }
}

/** Makes a regular file (see openRegular) hold this text. */
export function writeRegular(path: string, text: string, mode: number): void {
  const fd = openRegular(path, defaultFlags, mode);
  try {
    writeWhole(fd, new TextEncoder().encode(text), path);
  } finally {
    closeFile(fd);
  }
}

export function closeFile(fd: number): void {
  libc().close(fd);
}

/** No file of ours comes near; a device that never ends does. */
const mostBytes = 64 * 2 ** 20;
/** How long something that is read as a file, and is none, may have nothing to say. */
const longestSilenceMs = 60_000;

/**
 * read(2) to the end. Works for files of /proc, which say that they are empty, and for pipes that do not block. Throws
 * `read <path>: file too large` (EFBIG) for more than `most` bytes.
 */
export function readToEnd(fd: number, path: string, capacity = 4096, most = mostBytes): Uint8Array {
  let bytes = new Uint8Array(capacity);
  let length = 0;
  for (;;) {
    if (length === bytes.length) {
      if (length > most) throw fileError('read', path, new SyscallError('read', EFBIG));
      const grown = new Uint8Array(bytes.length * 4);
      grown.set(bytes);
      bytes = grown;
    }
    const rest = bytes.subarray(length);
    const got = libc().read(fd, rest, rest.length);
    if (got === 0) {
      if (length > most) throw fileError('read', path, new SyscallError('read', EFBIG));
      return bytes.subarray(0, length);
    }
    if (got > 0) length += got;
    else waitOrThrow(fd, POLLIN, 'read', path);
  }
}

/** write(2) until all is written. */
export function writeWhole(fd: number, bytes: Uint8Array, path: string): void {
  let rest = bytes;
  while (rest.length > 0) {
    const done = libc().write(fd, rest, rest.length);
    if (done >= 0) rest = rest.subarray(done);
    else waitOrThrow(fd, POLLOUT, 'write', path);
  }
}

/** After a failed read or write: goes on when it was interrupted, or once a descriptor that does not block is ready. */
function waitOrThrow(fd: number, events: number, operation: string, path: string): void {
  const errno = libc().errno();
  if (errno === EINTR) {
    waitOn(path);
    return;
  }
  if (errno !== EAGAIN) throw fileError(operation, path, new SyscallError(operation, errno));
  // struct pollfd: descriptor, events asked for, events that came
  const descriptor = new Uint8Array(8);
  new DataView(descriptor.buffer).setInt32(0, fd, true);
  descriptor[4] = events;
  // Who called us may take its time to write its input, and to read our answer.
  const ready = libc().poll(descriptor, 1, fd <= 2 ? -1 : longestSilenceMs);
  if (ready === 0) throw fileError(operation, path, new SyscallError(operation, EAGAIN));
  if (ready < 0 && libc().errno() === EINTR) waitOn(path);
}

/** Bytes as text: what is not UTF-8 becomes U+FFFD, and nothing is left out. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** The whole file. Throws `open <path>: …` or `read <path>: …`. */
export function readBytes(path: string, most = mostBytes): Uint8Array {
  const fd = openFile(path, openFlags.readOnly);
  try {
    const bytes = readToEnd(fd, path, 4096, most);
    if (bytes.length === 0) refusePipe(fd, path);
    return bytes;
  } finally {
    closeFile(fd);
  }
}

/** A pipe that nobody writes to looks like an empty file. */
function refusePipe(fd: number, path: string): void {
  if ((statDescriptor(fd).mode & 0o170000) !== 0o010000) return;
  throw Object.assign(new Error(`read ${path}: a named pipe stands where a file should be`), {
    code: 'EINVAL',
  });
}

/** The same as text; what is not UTF-8 becomes U+FFFD. */
export function readText(path: string): string {
  return textOf(readBytes(path));
}

/** Makes the file hold this text, as node:fs's writeFileSync does; one that is there keeps its mode. */
export function writeText(path: string, text: string, mode = 0o666, flags: number = defaultFlags): void {
  const fd = openFile(path, flags, mode);
  try {
    writeWhole(fd, new TextEncoder().encode(text), path);
  } finally {
    closeFile(fd);
  }
}
const defaultFlags = openFlags.writeOnly | openFlags.create | openFlags.truncate;

/** pread(2): how many bytes there were. */
export function readAt(fd: number, into: Uint8Array, offset: number): number {
  for (;;) {
    const got = libc().pread(fd, into, into.length, offset);
    if (got >= 0) return got;
    const errno = libc().errno();
    if (errno !== EINTR) throw new SyscallError('pread', errno);
    waitOn('a file to be read');
  }
}

/** pwrite(2) of all the bytes. */
export function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    const rest = bytes.subarray(done);
    const more = libc().pwrite(fd, rest, rest.length, offset + done);
    if (more >= 0) done += more;
    else {
      const errno = libc().errno();
      if (errno !== EINTR) throw new SyscallError('pwrite', errno);
      waitOn('a file to be written');
    }
  }
}

/** The path after all symbolic links, as the kernel has found it. Throws `open <path>: …`. */
export function realPath(path: string): string {
  const fd = openFile(path, openFlags.path);
  try {
    const link = `/proc/self/fd/${fd}`;
    const into = new Uint8Array(4096);
    const length = libc().readlink(cString(link), into, into.length);
    if (length < 0) throw failure('readlink', link, 'readlink');
    return systemText(into.subarray(0, length));
  } finally {
    closeFile(fd);
  }
}

/** Where a symbolic link leads, as it is written in it; undefined for what is none, or cannot be read. */
export function readLink(path: string): string | undefined {
  const into = new Uint8Array(4096);
  const length = libc().readlink(cString(path), into, into.length);
  return length < 0 ? undefined : textOf(into.subarray(0, length));
}

/** unlink(2); false when it was not there. Throws `remove <path>: …`. */
export function removeFile(path: string): boolean {
  if (libc().unlink(cString(path)) === 0) return true;
  const error = failure('remove', path, 'unlink');
  if (isMissing(error)) return false;
  throw error;
}

/** link(2): one more name for a file, for the link itself where it is a symbolic one. Throws `link <from>: …`. */
export function linkFile(from: string, to: string): void {
  if (libc().link(cString(from), cString(to)) !== 0) throw failure('link', from, 'link');
}

/** rename(2): replaces what is there in one step. Throws `rename <from>: …`. */
export function renameFile(from: string, to: string): void {
  if (libc().rename(cString(from), cString(to)) !== 0) throw failure('rename', from, 'rename');
}

/** utimensat(2). Times are nanoseconds since 1970. */
export function setTimes(path: string, atimeNs: bigint, mtimeNs: bigint): void {
  const times = new Uint8Array(32);
  const view = new DataView(times.buffer);
  for (const [i, time] of [atimeNs, mtimeNs].entries()) {
    view.setBigInt64(i * 16, time / 1_000_000_000n, true);
    view.setBigInt64(i * 16 + 8, time % 1_000_000_000n, true);
  }
  if (libc().utimensat(AT_FDCWD, cString(path), times, 0) !== 0) throw failure('utimes', path, 'utimensat');
}

/** fchmod(2): the mode as it is given, whatever the umask. Throws `chmod <path>: …`. */
export function setMode(fd: number, mode: number, path: string): void {
  if (libc().fchmod(fd, mode) !== 0) throw failure('chmod', path, 'fchmod');
}

/** All of one open file into another that is empty: by copy_file_range(2), which shares the blocks where the file
 *  system can, else by reading and writing. Throws `read <path>: …` or `write <path>: …`. */
export function copyFile(from: number, to: number, paths: { from: string; to: string }): void {
  const [offset, same] = [new Uint8Array(8), new Uint8Array(8)];
  const most = 1 << 30;
  let copied = 0;
  for (;;) {
    const done = libc().copy_file_range(from, offset, to, same, most, 0);
    if (done === 0 && copied > 0) return;
    if (done > 0) copied += done;
    else if (done === 0 || libc().errno() !== EINTR) break;
  }
  // Across file systems, or on one that cannot: from where it stopped.
  const piece = new Uint8Array(1 << 18);
  for (let at = copied; ; ) {
    const got = libc().pread(from, piece, piece.length, at);
    if (got === 0) return;
    if (got > 0) writeAtOrThrow(to, piece.subarray(0, got), at, paths.to);
    else if (libc().errno() !== EINTR) throw failure('read', paths.from, 'pread');
    at += Math.max(got, 0);
  }
}

function writeAtOrThrow(fd: number, bytes: Uint8Array, offset: number, path: string): void {
  try {
    writeAt(fd, bytes, offset);
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** fsync(2). Throws `sync <path>: …`. */
export function syncFile(fd: number, path: string): void {
  while (libc().fsync(fd) !== 0) {
    if (libc().errno() !== EINTR) throw failure('sync', path, 'fsync');
    waitOn(`${path} to be on disk`);
  }
}
