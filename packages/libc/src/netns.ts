import { errnoText } from './errno.ts';
import { closeFile, openFile, openFlags, removeFile, writeText } from './file.ts';
import { fileSystemOf, statDescriptor } from './file-status.ts';
import { libc } from './internal/calls.ts';
import { mount, mountFlags, unmount } from './mount.ts';
import { errnoOf, isMissing, SyscallError } from './syscall-error.ts';

const CLONE_NEWNET = 0x40000000;
/** include/uapi/linux/magic.h; a namespace file is on nsfs, on old kernels on procfs. */
const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;
/** include/uapi/linux/sockios.h */
const SIOCGSKNS = 0x894c;
const own = '/proc/thread-self/ns/net';

/** A namespace is one inode of the kernel's nsfs, whatever path it is bound to. */
export interface NamespaceId {
  readonly dev: number;
  readonly ino: number;
}

/** The namespace the thread is in, once it had to be known: its own, or the one whose `run` it is in. Opening the
 *  thread's own takes as long as a small request to the kernel. */
let place: Netns | undefined;

/** A path that does not lead to a network namespace. */
export class NetnsError extends Error {
  override readonly name = 'NetnsError';
  /** True when no namespace is at the path: nothing at all, links in a circle, or the plain file on which it was mounted
   *  before a reboot. It is gone, which DEL takes as done. */
  readonly gone: boolean;
  constructor(message: string, gone: boolean, cause?: unknown) {
    super(message, { cause });
    this.gone = gone;
  }
}

/** In the words of the reference, which looks at the file system first. */
function notOpened(path: string, error: unknown): NetnsError {
  const code = errnoOf(error) ?? 'EIO';
  // All is said: no cause.
  if (isMissing(error) || code === 'ELOOP')
    return new NetnsError(`failed to Statfs "${path}": ${errnoText(code)}`, true);
  // No namespace needs another end or a driver to be opened: a socket, a device.
  if (code === 'ENXIO' || code === 'ENODEV') requireNamespace(path);
  return new NetnsError(error instanceof Error ? error.message : String(error), false, error);
}

/** On old kernels namespaces are files of /proc. */
function requireNamespace(path: string): void {
  const magic = fileSystemOf(path);
  if (magic === NSFS_MAGIC || magic === PROC_SUPER_MAGIC) return;
  throw new NetnsError(`unknown FS magic on "${path}": ${magic.toString(16)}`, true);
}

/** Whether a namespace is at this path. A plain file is left where one was mounted, and nothing where a process ended.
 *  What cannot be looked at for another reason may live. */
export function namespaceLives(path: string): boolean {
  try {
    return fileSystemOf(path) === NSFS_MAGIC;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR', 'ESRCH'].includes(errnoOf(error) ?? '');
  }
}

/**
 * A network namespace, held open: it lives as long as this object, whatever becomes of its path.
 * setns(2) and unshare(2) act on the calling thread only, and everything here is synchronous, so code outside
 * `run` never finds itself elsewhere.
 */
export class Netns {
  /** The path it was opened by; '' for a namespace without a name. */
  readonly path: string;
  readonly fd: number;
  #closed = false;
  #id: NamespaceId | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  /**
   * Opens the namespace at `path`, and looks at what was opened whether it is one: a leftover regular file or the mount
   * point of a namespace that went away would fail later and less clearly. Throws NetnsError, `gone` if there is none.
   */
  static open(path: string): Netns {
    let fd: number;
    try {
      // A FIFO must not keep us waiting.
      fd = openFile(path, openFlags.readOnly | openFlags.nonBlocking);
    } catch (error) {
      throw notOpened(path, error);
    }
    const netns = new Netns(path, fd);
    try {
      // All namespaces are on one file system.
      if (netns.id.dev !== Netns.here().id.dev) requireNamespace(path);
      return netns;
    } catch (error) {
      netns.close();
      if (error instanceof NetnsError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new NetnsError(`cannot tell what "${path}" is: ${why}`, false, error);
    }
  }

  /** The namespace that a socket is in, which may have no path any more. Needs CAP_NET_ADMIN there. */
  static ofSocket(socket: number): Netns {
    const fd = libc().ioctl(socket, SIOCGSKNS, 0);
    if (fd < 0) throw new SyscallError('ioctl', libc().errno());
    return new Netns('', fd);
  }

  /** The calling thread's own namespace. */
  static current(): Netns {
    return new Netns(own, openFile(own, openFlags.readOnly));
  }

  /** The same, opened at the first call and kept open: not to be closed. */
  static here(): Netns {
    place ??= Netns.current();
    return place;
  }

  /** A new, unnamed namespace; it ends when the last descriptor and process in it do. */
  static create(): Netns {
    const home = Netns.here();
    if (libc().unshare(CLONE_NEWNET) !== 0) throw new SyscallError('unshare', libc().errno());
    try {
      return new Netns('', openFile(own, openFlags.readOnly));
    } finally {
      home.enter();
    }
  }

  /** A new namespace bound to a file, as `ip netns add` makes them; the folder must exist. */
  static createAt(path: string): Netns {
    const netns = Netns.create();
    writeText(path, '', 0o444, openFlags.writeOnly | openFlags.create | openFlags.exclusive);
    mount(`/proc/self/fd/${netns.fd}`, path, 'none', mountFlags.bind);
    netns.close();
    return Netns.open(path);
  }

  /** Takes away the name that `createAt` gave; what still runs inside goes on. */
  static remove(path: string): void {
    unmount(path);
    removeFile(path);
  }

  /** Moves the calling thread into a new namespace for good: for tests and tools that must not touch the machine's. */
  static unshareThread(): void {
    if (libc().unshare(CLONE_NEWNET) !== 0) throw new SyscallError('unshare', libc().errno());
    place?.close();
    place = undefined;
  }

  get id(): NamespaceId {
    this.#id ??= statDescriptor(this.fd);
    return this.#id;
  }

  /** The same namespace, whatever the paths: device and inode agree. */
  sameAs(other: Netns): boolean {
    return this.id.dev === other.id.dev && this.id.ino === other.id.ino;
  }

  /**
   * Runs synchronous work inside and comes back, also when it throws. For sockets to open, /proc/sys to read or
   * write, and programs to run; a promise would be continued outside, so the type refuses one.
   */
  run<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    const before = Netns.here();
    this.enter();
    place = this;
    try {
      return work();
    } finally {
      before.enter();
      place = before;
    }
  }

  private enter(): void {
    if (libc().setns(this.fd, CLONE_NEWNET) === 0) return;
    const text = new SyscallError('setns', libc().errno()).message;
    throw new NetnsError(
      `error switching to ns ${this.path}: Error switching to ns ${this.path}: ${text}`,
      false,
    );
  }

  close(): void {
    // A second time the number may be another file's.
    if (this.#closed) return;
    this.#closed = true;
    closeFile(this.fd);
  }
}
