/** Links whose other end is a program, by the ioctls of include/uapi/linux/if_tun.h: rtnetlink makes none. */
import { kernelWrite } from './fault.ts';
import { closeFile, openFile, openFlags } from './file.ts';
import { libc } from './internal/calls.ts';
import { SyscallError } from './syscall-error.ts';
import { systemBytes } from './system-text.ts';

const device = '/dev/net/tun';
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;
const TUNSETGROUP = 0x400454ce;

const IFF_TAP = 0x2;
const IFF_MULTI_QUEUE = 0x100;
const IFF_NO_PI = 0x1000;
const IFF_TUN_EXCL = 0x8000;

export interface NewTap {
  readonly name: string;
  /** Programs open it several times at once; one that does not say so when it opens it is refused, and the reverse. */
  readonly multiQueue: boolean;
  /** Who may open it, besides those who may administer the network. undefined: nobody else. */
  readonly owner: number | undefined;
  readonly group: number | undefined;
}

/**
 * Makes a tap in the calling thread's network namespace. It goes again when the program that made it ends, until
 * `finish` has returned; from then on it stays. Throws `failed to create tap: …`: EBUSY where the name is another tap's,
 * EINVAL where it is another link's.
 */
export function createTap({ name, multiQueue, owner, group }: NewTap, finish: () => void): void {
  let fd: number;
  try {
    fd = openFile(device, openFlags.readWrite);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const advice = 'the device is missing or closed to this process: load the module tun, or allow it';
    throw new Error(`failed to create tap: ${why}: ${advice}`, { cause: error });
  }
  try {
    // struct ifreq: 16 bytes of name, then the flags
    const request = new Uint8Array(40);
    request.set(systemBytes(name, true).subarray(0, 15));
    const flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | (multiQueue ? IFF_MULTI_QUEUE : 0);
    new DataView(request.buffer).setUint16(16, flags, true);
    control(fd, 'TUNSETIFF', TUNSETIFF, libc().address(request));
    if (owner !== undefined) control(fd, 'TUNSETOWNER', TUNSETOWNER, owner);
    if (group !== undefined) control(fd, 'TUNSETGROUP', TUNSETGROUP, group);
    finish();
    control(fd, 'TUNSETPERSIST', TUNSETPERSIST, 1);
  } finally {
    closeFile(fd);
  }
}

function control(fd: number, name: string, request: number, argument: number): void {
  kernelWrite(name);
  if (libc().ioctl(fd, request, argument) === 0) return;
  const error = new SyscallError(name, libc().errno());
  const text = `failed to create tap: Tuntap IOCTL ${name} failed, errno ${error.message}`;
  throw Object.assign(new Error(text, { cause: error }), { code: error.code });
}
