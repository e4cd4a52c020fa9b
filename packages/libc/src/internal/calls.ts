/**
 * The libc functions we call, once for both runtimes: Bun's FFI in the shipped executables, `node:ffi` where
 * Node 26 runs the JavaScript bundles and the tests. Everything above this file is plain TypeScript.
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
  rename(from: Uint8Array, to: Uint8Array): number;
  utimensat(folder: number, path: Uint8Array, times: Uint8Array, flags: number): number;
  poll(descriptors: Uint8Array, count: number, timeoutMs: number): number;
  /** Ends the process at once: nothing is run or flushed. */
  _exit(status: number): number;
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  send(fd: number, data: Uint8Array, length: number, flags: number): number;
  recv(fd: number, data: Uint8Array, length: number, flags: number): number;
  setns(fd: number, kind: number): number;
  unshare(flags: number): number;
  flock(fd: number, operation: number): number;
  mount(source: Uint8Array, target: Uint8Array, type: Uint8Array, flags: number, data: Uint8Array): number;
  umount2(target: Uint8Array, flags: number): number;
  /** errno of this thread's last failed call; read it before anything else runs. */
  errno(): number;
}

/** As Bun takes them: every plugin opens this table on Bun, and only tests and the bundles for Node on Node. */
const definitions = {
  open: int('ptr', 'i32', 'u32'),
  close: int('i32'),
  read: int('i32', 'ptr', 'u32'),
  write: int('i32', 'ptr', 'u32'),
  pread: int('i32', 'ptr', 'u32', 'u32'),
  pwrite: int('i32', 'ptr', 'u32', 'u32'),
  statx: int('i32', 'ptr', 'i32', 'u32', 'ptr'),
  statfs: int('ptr', 'ptr'),
  access: int('ptr', 'i32'),
  readlink: int('ptr', 'ptr', 'u32'),
  mkdir: int('ptr', 'u32'),
  unlink: int('ptr'),
  rename: int('ptr', 'ptr'),
  utimensat: int('i32', 'ptr', 'ptr', 'i32'),
  poll: int('ptr', 'u32', 'i32'),
  _exit: int('i32'),
  socket: int('i32', 'i32', 'i32'),
  setsockopt: int('i32', 'i32', 'i32', 'ptr', 'u32'),
  send: int('i32', 'ptr', 'u32', 'i32'),
  recv: int('i32', 'ptr', 'u32', 'i32'),
  setns: int('i32', 'i32'),
  unshare: int('i32'),
  flock: int('i32', 'i32'),
  mount: int('ptr', 'ptr', 'ptr', 'u64_fast', 'ptr'),
  umount2: int('ptr', 'i32'),
  __errno_location: { args: [], returns: 'ptr' },
};

type Parameter = 'i32' | 'u32' | 'u64_fast' | 'ptr';

function int(...args: Parameter[]): { args: Parameter[]; returns: string } {
  return { args, returns: 'i32' };
}

type Native = (...args: unknown[]) => number;
type Symbols<Pointer> = Record<Exclude<keyof typeof definitions, '__errno_location'>, Native> & {
  __errno_location(): Pointer;
};

/** The part of Bun's own FFI that we use. The module bun:ffi is made of it, and takes 0.2 ms to load. */
interface BunFfi {
  dlopen(library: string, functions: typeof definitions): { symbols: Symbols<number> };
  read: { i32(pointer: number, offset: number): number };
}

function openWithBun(ffi: BunFfi): Calls {
  const { symbols } = ffi.dlopen('libc.so.6', definitions);
  const errno = () => ffi.read.i32(symbols.__errno_location(), 0);
  return Object.assign(symbols, { errno }) as unknown as Calls; // reason: the table is Calls, but for the types of C
}

function openWithNode(): Calls {
  const ffi = process.getBuiltinModule('node:ffi');
  if (!ffi) throw new Error('this Node has no node:ffi: use Node 26 or later, or the compiled executables');
  const types = { i32: 'i32', u32: 'u32', u64_fast: 'u64', ptr: 'buffer' };
  const translated: Record<string, { arguments: string[]; return: string }> = {};
  for (const [name, { args }] of Object.entries(definitions)) {
    translated[name] = { arguments: args.map((type) => types[type]), return: 'i32' };
  }
  translated.__errno_location = { arguments: [], return: 'pointer' };
  // reason: the definitions are built in a loop, so their literal types are lost
  const { functions } = ffi.dlopen('libc.so.6', translated as never) as unknown as {
    functions: Symbols<bigint>;
  };
  const errno = () => ffi.getInt32(functions.__errno_location());
  const mount: Native = (source, target, type, flags, data) =>
    functions.mount(source, target, type, BigInt(flags as number), data); // reason: a mount flag is a number
  return { ...functions, mount, errno } as unknown as Calls; // reason: as above
}

let opened: Calls | undefined;

/** Opened at the first call: a plugin that only answers VERSION, or has nothing to do, pays nothing. */
export function libc(): Calls {
  if (opened) return opened;
  const { Bun } = globalThis as { Bun?: { FFI: BunFfi } }; // reason: a global that only one of our runtimes has
  opened = Bun ? openWithBun(Bun.FFI) : openWithNode();
  return opened;
}

/** A NUL-terminated copy of a string for a `char *` argument. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
