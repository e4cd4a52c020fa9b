import { cString, libc } from './internal/calls.ts';
import { failure } from './internal/failure.ts';
import { isMissing } from './syscall-error.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;

/** What statx(2) tells. Times are nanoseconds since 1970. */
export interface FileStatus {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly size: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** When it was made; undefined where the file system does not keep that. */
  readonly btimeNs: bigint | undefined;
  readonly isFile: boolean;
  readonly isFolder: boolean;
}

/** The file at a path, links followed. Throws `stat <path>: …`. */
export function statFile(path: string): FileStatus {
  return status(AT_FDCWD, path, 0) ?? fail(path);
}

/** As `statFile`, but undefined when it cannot be looked at, for whatever reason. */
export function tryStat(path: string): FileStatus | undefined {
  return status(AT_FDCWD, path, 0);
}

/** What the name itself is, a symbolic link too; undefined when nothing is there. Throws `lstat <path>: …`. */
export function statLink(path: string): FileStatus | undefined {
  const found = status(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  if (found) return found;
  const error = failure('lstat', path, 'statx');
  if (isMissing(error)) return undefined;
  throw error;
}

/** An open file. */
export function statDescriptor(fd: number): FileStatus {
  return status(fd, '', AT_EMPTY_PATH) ?? fail(`descriptor ${fd}`);
}

function fail(path: string): never {
  throw failure('stat', path, 'statx');
}

/** struct statx, include/uapi/linux/stat.h: the same on every architecture. */
function status(folder: number, path: string, flags: number): FileStatus | undefined {
  const STATX_BASIC_STATS = 0x7ff;
  const STATX_BTIME = 0x800;
  const bytes = new Uint8Array(256);
  if (libc().statx(folder, cString(path), flags, STATX_BASIC_STATS | STATX_BTIME, bytes) !== 0)
    return undefined;
  const view = new DataView(bytes.buffer);
  const time = (at: number) =>
    view.getBigInt64(at, true) * 1_000_000_000n + BigInt(view.getUint32(at + 8, true));
  const mode = view.getUint16(28, true);
  return {
    dev: view.getUint32(136, true) * 2 ** 20 + view.getUint32(140, true),
    ino: Number(view.getBigUint64(32, true)),
    mode,
    uid: view.getUint32(20, true),
    size: Number(view.getBigUint64(40, true)),
    get atimeNs() {
      return time(64);
    },
    get btimeNs() {
      return view.getUint32(0, true) & STATX_BTIME ? time(80) : undefined;
    },
    get ctimeNs() {
      return time(96);
    },
    get mtimeNs() {
      return time(112);
    },
    isFile: (mode & 0o170000) === 0o100000,
    isFolder: (mode & 0o170000) === 0o040000,
  };
}

/** Which file is at a path, links followed, and nothing else of its status; undefined when it cannot be looked at. For who
 *  asks often. */
export function identityOf(path: string): { readonly dev: number; readonly ino: number } | undefined {
  const STATX_INO = 0x100;
  if (libc().statx(AT_FDCWD, cString(path), 0, STATX_INO, identityBytes) !== 0) return undefined;
  return {
    dev: identityNumbers.getUint32(136, true) * 2 ** 20 + identityNumbers.getUint32(140, true),
    ino: identityNumbers.getUint32(32, true) + identityNumbers.getUint32(36, true) * 2 ** 32,
  };
}
const identityBytes = new Uint8Array(256);
const identityNumbers = new DataView(identityBytes.buffer);

/** The kind of an open file (S_IFMT) and nothing else of its status: struct statx has the mode at 28. */
export function typeOfDescriptor(fd: number): number {
  const STATX_TYPE = 1;
  if (libc().statx(fd, noPath, AT_EMPTY_PATH, STATX_TYPE, typeBytes) !== 0) fail(`descriptor ${fd}`);
  return ((typeBytes[28] ?? 0) | ((typeBytes[29] ?? 0) << 8)) & 0o170000;
}
const noPath = new Uint8Array(1);
const typeBytes = new Uint8Array(256);

/** The file system's magic number, include/uapi/linux/magic.h. Throws `statfs <path>: …`. */
export function fileSystemOf(path: string): number {
  const bytes = new Uint8Array(256); // struct statfs has 120 bytes on the 64-bit machines we know
  if (libc().statfs(cString(path), bytes) !== 0) throw failure('statfs', path, 'statfs');
  return new DataView(bytes.buffer).getUint32(0, true);
}

/** How much room a file system has, of what is not kept for root: bytes, and files that can be made. */
export interface Room {
  readonly bytes: number;
  readonly freeBytes: number;
  /** 0 where there is no limit. */
  readonly files: number;
  readonly freeFiles: number;
}

/** Of the file system that a path lies on: struct statfs of 64-bit machines, include/uapi/asm-generic/statfs.h. Throws
 *  `statfs <path>: …`. */
export function roomAt(path: string): Room {
  const bytes = new Uint8Array(256);
  if (libc().statfs(cString(path), bytes) !== 0) throw failure('statfs', path, 'statfs');
  const view = new DataView(bytes.buffer);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  const block = number(8);
  return {
    bytes: number(16) * block,
    freeBytes: number(32) * block,
    files: number(40),
    freeFiles: number(48),
  };
}

/** access(2): whether the calling process may do all of these with the file. */
export function mayAccess(
  path: string,
  what: { read?: boolean; write?: boolean; execute?: boolean },
): boolean {
  const mode = (what.read ? 4 : 0) | (what.write ? 2 : 0) | (what.execute ? 1 : 0);
  return libc().access(cString(path), mode) === 0;
}

/** `mayAccess` as a demand. Throws `access <path>: …`. */
export function requireAccess(path: string, what: Parameters<typeof mayAccess>[1]): void {
  if (!mayAccess(path, what)) throw failure('access', path, 'access');
}

/** The file at the path, or the nearest folder above it that is there. */
export function nearestExisting(path: string): string {
  if (tryStat(path)) return path;
  const above = path.slice(0, path.lastIndexOf('/'));
  return above === '' ? '/' : nearestExisting(above);
}
