import { cString, libc } from './internal/calls.ts';
import { fileError, SyscallError } from './syscall-error.ts';

/** include/uapi/linux/mount.h */
export const mountFlags = { bind: 0x1000, recursive: 0x4000, private: 0x40000, slave: 0x80000 } as const;
const MNT_DETACH = 2;

/** mount(2). Throws `mount <target>: <errno text>`. */
export function mount(source: string, target: string, type: string, flags: number, data = ''): void {
  if (libc().mount(cString(source), cString(target), cString(type), flags, cString(data)) !== 0) {
    throw fileError('mount', target, new SyscallError('mount', libc().errno()));
  }
}

/** umount2(2) with MNT_DETACH: gone from the tree at once, freed when the last user leaves. */
export function unmount(target: string): void {
  if (libc().umount2(cString(target), MNT_DETACH) !== 0) {
    throw fileError('umount', target, new SyscallError('umount2', libc().errno()));
  }
}

const CLONE_NEWNS = 0x00020000;

/** Gives the calling thread a mount namespace of its own whose changes stay inside. */
export function unshareMounts(): void {
  if (libc().unshare(CLONE_NEWNS) !== 0) throw new SyscallError('unshare', libc().errno());
  mount('', '/', '', mountFlags.slave | mountFlags.recursive);
}
