import { systemBytes } from '../system-text.ts';

/**
 * The libc functions we call, once for both runtimes: the engine of the compiled program (packages/engine), and
 * `node:ffi` where Node 26 runs the JavaScript bundles and the tests. Everything above this file is plain TypeScript.
 *
 * Sizes are passed as u32 although libc says size_t: both calling conventions we ship for (x86-64, aarch64)
 * zero-extend a 32-bit argument register, and no buffer of ours comes near 4 GiB, nor does an offset in a file.
 * Results that are ssize_t are read as i32 for the same reason. open(2) is variadic in C; on Linux both conventions
 * pass its mode like any other argument.
 */
export interface Calls {
  open(path: Uint8Array, flags: number, mode: number): number;
  close(fd: number): number;
  read(fd: number, into: Uint8Array, length: number): number;
  write(fd: number, data: Uint8Array, length: number): number;
  pread(fd: number, into: Uint8Array, length: number, offset: number): number;
  pwrite(fd: number, data: Uint8Array, length: number, offset: number): number;
  statx(folder: number, path: Uint8Array, flags: number, mask: number, into: Uint8Array): number;
  statfs(path: Uint8Array, into: Uint8Array): number;
  access(path: Uint8Array, mode: number): number;
  readlink(path: Uint8Array, into: Uint8Array, length: number): number;
  mkdir(path: Uint8Array, mode: number): number;
  unlink(path: Uint8Array): number;
  rmdir(path: Uint8Array): number;
  link(from: Uint8Array, to: Uint8Array): number;
  rename(from: Uint8Array, to: Uint8Array): number;
  utimensat(folder: number, path: Uint8Array, times: Uint8Array, flags: number): number;
  poll(descriptors: Uint8Array, count: number, timeoutMs: number): number;
  fsync(fd: number): number;
  fchmod(fd: number, mode: number): number;
  /** Offsets are 64 bits each, and are moved on. */
  copy_file_range(
    from: number,
    fromOffset: Uint8Array,
    to: number,
    toOffset: Uint8Array,
    length: number,
    flags: number,
  ): number;
  /** struct linux_dirent64 after struct linux_dirent64, as many as there is room for; 0 at the end. */
  getdents64(fd: number, into: Uint8Array, length: number): number;
  usleep(microseconds: number): number;
  clock_gettime(clock: number, into: Uint8Array): number;
  getrlimit(resource: number, into: Uint8Array): number;
  setrlimit(resource: number, limits: Uint8Array): number;
  getpid(): number;
  getuid(): number;
  pipe2(fds: Uint8Array, flags: number): number;
  posix_spawn_file_actions_init(actions: Uint8Array): number;
  posix_spawn_file_actions_adddup2(actions: Uint8Array, from: number, to: number): number;
  posix_spawn_file_actions_destroy(actions: Uint8Array): number;
  posix_spawnattr_init(attributes: Uint8Array): number;
  posix_spawnattr_setflags(attributes: Uint8Array, flags: number): number;
  posix_spawnattr_setsigdefault(attributes: Uint8Array, signals: Uint8Array): number;
  posix_spawnattr_destroy(attributes: Uint8Array): number;
  /** Returns an errno. */
  posix_spawn(
    pid: Uint8Array,
    path: Uint8Array,
    actions: Uint8Array,
    attributes: Uint8Array,
    argv: Uint8Array,
    envp: Uint8Array,
  ): number;
  waitpid(pid: number, status: Uint8Array, options: number): number;
  kill(pid: number, signal: number): number;
  /** Ends the process at once: nothing is run or flushed. */
  _exit(status: number): number;
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: Uint8Array, length: Uint8Array, flags: number): number;
  sendto(
    fd: number,
    data: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): number;
  recvfrom(
    fd: number,
    into: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: Uint8Array,
  ): number;
  send(fd: number, data: Uint8Array, length: number, flags: number): number;
  recv(fd: number, data: Uint8Array, length: number, flags: number): number;
  setns(fd: number, kind: number): number;
  unshare(flags: number): number;
  flock(fd: number, operation: number): number;
  /** The argument is a number, or where a structure lies (`address`). */
  ioctl(fd: number, request: number, argument: number): number;
  mount(source: Uint8Array, target: Uint8Array, type: Uint8Array, flags: number, data: Uint8Array): number;
  umount2(target: Uint8Array, flags: number): number;
  /** errno of this thread's last failed call; read it before anything else runs. */
  errno(): number;
  /** Where the bytes lie, for structures with pointers in them. They must be kept as long as the pointer is used. */
  address(bytes: Uint8Array): number;
}

/** Their parameters; all return an int, or what fits into one. The build makes the compiled program's table of them. */
export const definitions = {
  open: 'ptr i32 u32',
  close: 'i32',
  read: 'i32 ptr u32',
  write: 'i32 ptr u32',
  pread: 'i32 ptr u32 u32',
  pwrite: 'i32 ptr u32 u32',
  statx: 'i32 ptr i32 u32 ptr',
  statfs: 'ptr ptr',
  access: 'ptr i32',
  readlink: 'ptr ptr u32',
  mkdir: 'ptr u32',
  unlink: 'ptr',
  rmdir: 'ptr',
  link: 'ptr ptr',
  rename: 'ptr ptr',
  utimensat: 'i32 ptr ptr i32',
  poll: 'ptr u32 i32',
  fsync: 'i32',
  fchmod: 'i32 u32',
  copy_file_range: 'i32 ptr i32 ptr u32 u32',
  getdents64: 'i32 ptr u32',
  usleep: 'u32',
  clock_gettime: 'i32 ptr',
  getrlimit: 'i32 ptr',
  setrlimit: 'i32 ptr',
  getpid: '',
  getuid: '',
  pipe2: 'ptr i32',
  posix_spawn_file_actions_init: 'ptr',
  posix_spawn_file_actions_adddup2: 'ptr i32 i32',
  posix_spawn_file_actions_destroy: 'ptr',
  posix_spawnattr_init: 'ptr',
  posix_spawnattr_setflags: 'ptr i32',
  posix_spawnattr_setsigdefault: 'ptr ptr',
  posix_spawnattr_destroy: 'ptr',
  posix_spawn: 'ptr ptr ptr ptr ptr ptr',
  waitpid: 'i32 ptr i32',
  kill: 'i32 i32',
  _exit: 'i32',
  socket: 'i32 i32 i32',
  connect: 'i32 ptr u32',
  setsockopt: 'i32 i32 i32 ptr u32',
  getsockopt: 'i32 i32 i32 ptr ptr',
  bind: 'i32 ptr u32',
  listen: 'i32 i32',
  accept4: 'i32 ptr ptr i32',
  sendto: 'i32 ptr u32 i32 ptr u32',
  recvfrom: 'i32 ptr u32 i32 ptr ptr',
  send: 'i32 ptr u32 i32',
  recv: 'i32 ptr u32 i32',
  setns: 'i32 i32',
  unshare: 'i32',
  flock: 'i32 i32',
  ioctl: 'i32 u32 u64',
  mount: 'ptr ptr ptr u64 ptr',
  umount2: 'ptr i32',
} satisfies Record<Exclude<keyof Calls, 'errno' | 'address'>, string>;

/** The part of the compiled program's engine (packages/engine) that we use: its functions take these arguments as they
 *  are. */
interface Engine {
  readonly libc: Calls;
}

function openWithNode(): Calls {
  const ffi = process.getBuiltinModule('node:ffi');
  if (!ffi) throw new Error('this Node has no node:ffi: use Node 26 or later, or the compiled executables');
  const translated: Record<string, { arguments: string[]; return: string }> = {};
  for (const [name, parameters] of Object.entries(definitions)) {
    const types = parameters.split(' ').filter((type) => type !== '');
    translated[name] = { arguments: types.map((type) => (type === 'ptr' ? 'buffer' : type)), return: 'i32' };
  }
  translated.__errno_location = { arguments: [], return: 'pointer' };
  // reason: the definitions are built in a loop, so their literal types are lost
  const { functions } = ffi.dlopen('libc.so.6', translated as never) as unknown as {
    functions: Record<string, (...args: unknown[]) => number> & { __errno_location(): bigint };
  };
  const extra = {
    mount: (source: unknown, target: unknown, type: unknown, flags: number, data: unknown) =>
      functions.mount?.(source, target, type, BigInt(flags), data),
    ioctl: (fd: number, request: number, argument: number) =>
      functions.ioctl?.(fd, request, BigInt(argument)),
    errno: () => ffi.getInt32(functions.__errno_location()),
    address: (bytes: Uint8Array) => Number(ffi.getRawPointer(bytes)),
  };
  return { ...functions, ...extra } as unknown as Calls; // reason: the table is Calls, but for the types of C
}

let opened: Calls | undefined;

/** Opened at the first call: a plugin that only answers VERSION, or has nothing to do, pays nothing. */
export function libc(): Calls {
  if (opened) return opened;
  const { engine } = globalThis as { engine?: Engine }; // reason: a global that only the compiled program has
  opened = engine ? engine.libc : openWithNode();
  return opened;
}

/** A `char *const[]` that ends with NULL, and what it points to, which must be kept as long as it is used. As cString. */
export function cStrings(texts: readonly string[]): { array: Uint8Array; strings: readonly Uint8Array[] } {
  const strings = texts.map(cString);
  const array = new BigUint64Array(strings.length + 1);
  strings.forEach((bytes, at) => {
    array[at] = BigInt(libc().address(bytes));
  });
  return { array: new Uint8Array(array.buffer), strings };
}

/** A NUL-terminated copy of a string for a `char *` argument. Throws a SyscallError (EINVAL) if it has a NUL in it. */
export function cString(text: string): Uint8Array {
  return systemBytes(text, true);
}
