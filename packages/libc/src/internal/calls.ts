/**
 * The libc functions we call, once for both runtimes: `bun:ffi` in the shipped executables, `node:ffi` where
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

const signatures = {
  open: ['buffer', 'i32', 'u32'],
  close: ['i32'],
  read: ['i32', 'buffer', 'u32'],
  write: ['i32', 'buffer', 'u32'],
  pread: ['i32', 'buffer', 'u32', 'u32'],
  pwrite: ['i32', 'buffer', 'u32', 'u32'],
  statx: ['i32', 'buffer', 'i32', 'u32', 'buffer'],
  statfs: ['buffer', 'buffer'],
  access: ['buffer', 'i32'],
  readlink: ['buffer', 'buffer', 'u32'],
  mkdir: ['buffer', 'u32'],
  unlink: ['buffer'],
  rename: ['buffer', 'buffer'],
  utimensat: ['i32', 'buffer', 'buffer', 'i32'],
  poll: ['buffer', 'u32', 'i32'],
  _exit: ['i32'],
  socket: ['i32', 'i32', 'i32'],
  setsockopt: ['i32', 'i32', 'i32', 'buffer', 'u32'],
  send: ['i32', 'buffer', 'u32', 'i32'],
  recv: ['i32', 'buffer', 'u32', 'i32'],
  setns: ['i32', 'i32'],
  unshare: ['i32'],
  flock: ['i32', 'i32'],
  mount: ['buffer', 'buffer', 'buffer', 'u64', 'buffer'],
  umount2: ['buffer', 'i32'],
} as const;

type Native = (...args: unknown[]) => number;
type Table = Record<keyof typeof signatures, Native>;

/** Bun's own, also in ES modules and compiled programs; Node has none in ES modules, and is asked another way. */
declare const require: (module: 'bun:ffi') => typeof import('bun:ffi');

function openWithBun(): Calls {
  const ffi = require('bun:ffi');
  const types = { i32: 'i32', u32: 'u32', u64: 'u64_fast', buffer: 'ptr' } as const;
  const definitions: Record<string, { args: string[]; returns: string }> = {
    __errno_location: { args: [], returns: 'ptr' },
  };
  for (const [name, args] of Object.entries(signatures)) {
    definitions[name] = { args: args.map((type) => types[type]), returns: 'i32' };
  }
  // reason: the definitions are built in a loop, so their literal types are lost
  const { symbols } = ffi.dlopen('libc.so.6', definitions as never) as unknown as {
    symbols: Table & { __errno_location(): never };
  };
  const errno = () => ffi.read.i32(symbols.__errno_location(), 0);
  return Object.assign(symbols, { errno }) as unknown as Calls;
}

function openWithNode(): Calls {
  const ffi = process.getBuiltinModule('node:ffi');
  if (!ffi) throw new Error('this Node has no node:ffi: use Node 26 or later, or the compiled executables');
  const definitions: Record<string, { arguments: string[]; return: string }> = {
    __errno_location: { arguments: [], return: 'pointer' },
  };
  for (const [name, args] of Object.entries(signatures)) {
    definitions[name] = { arguments: [...args], return: 'i32' };
  }
  // reason: the definitions are built in a loop, so their literal types are lost
  const { functions } = ffi.dlopen('libc.so.6', definitions as never) as unknown as {
    functions: Table & { __errno_location(): bigint };
  };
  const errno = () => ffi.getInt32(functions.__errno_location());
  const mount: Native = (source, target, type, flags, data) =>
    functions.mount(source, target, type, BigInt(flags as number), data); // reason: a mount flag is a number
  return { ...functions, mount, errno } as unknown as Calls;
}

let opened: Calls | undefined;

/** Opened at the first call: a plugin that only answers VERSION, or has nothing to do, pays nothing. */
export function libc(): Calls {
  opened ??= 'Bun' in globalThis ? openWithBun() : openWithNode();
  return opened;
}

/** A NUL-terminated copy of a string for a `char *` argument. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
