/** The libc functions behind `child.ts`, by `node:ffi` only: tools measure with them, no plugin does. They have a
 *  table of their own so that a plugin's start resolves none of these names. */
export interface ProcessCalls {
  pipe2(fds: Uint8Array, flags: number): number;
  close(fd: number): number;
  read(fd: number, data: Uint8Array, length: bigint): bigint;
  write(fd: number, data: Uint8Array, length: bigint): bigint;
  posix_spawn_file_actions_init(actions: Uint8Array): number;
  posix_spawn_file_actions_adddup2(actions: Uint8Array, from: number, to: number): number;
  posix_spawn_file_actions_destroy(actions: Uint8Array): number;
  posix_spawn(
    pid: Uint8Array,
    path: Uint8Array,
    actions: Uint8Array,
    attributes: bigint,
    argv: Uint8Array,
    envp: Uint8Array,
  ): number;
  pidfd_open(pid: number, flags: number): number;
  poll(fds: Uint8Array, count: bigint, milliseconds: number): number;
  wait4(pid: number, status: Uint8Array, options: number, usage: Uint8Array): number;
  kill(pid: number, signal: number): number;
  ptrace(request: bigint, pid: number, address: bigint, data: bigint): bigint;
}

const signatures: Record<keyof ProcessCalls, readonly [result: string, ...parameters: string[]]> = {
  pipe2: ['i32', 'buffer', 'i32'],
  close: ['i32', 'i32'],
  read: ['i64', 'i32', 'buffer', 'u64'],
  write: ['i64', 'i32', 'buffer', 'u64'],
  posix_spawn_file_actions_init: ['i32', 'buffer'],
  posix_spawn_file_actions_adddup2: ['i32', 'buffer', 'i32', 'i32'],
  posix_spawn_file_actions_destroy: ['i32', 'buffer'],
  posix_spawn: ['i32', 'buffer', 'buffer', 'buffer', 'u64', 'buffer', 'buffer'],
  pidfd_open: ['i32', 'i32', 'u32'],
  poll: ['i32', 'buffer', 'u64', 'i32'],
  wait4: ['i32', 'i32', 'buffer', 'i32', 'buffer'],
  kill: ['i32', 'i32', 'i32'],
  ptrace: ['i64', 'i64', 'i32', 'u64', 'u64'],
};

let opened: ProcessCalls | undefined;

export function processCalls(): ProcessCalls {
  if (opened) return opened;
  const ffi = process.getBuiltinModule('node:ffi');
  if (!ffi) throw new Error('this Node has no node:ffi: use Node 26 or later');
  const definitions: Record<string, { arguments: string[]; return: string }> = {};
  for (const [name, [result, ...parameters]] of Object.entries(signatures)) {
    definitions[name] = { arguments: parameters, return: result };
  }
  // reason: the definitions are built in a loop, so their literal types are lost
  opened = ffi.dlopen('libc.so.6', definitions as never).functions as unknown as ProcessCalls;
  return opened;
}
