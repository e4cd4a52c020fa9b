/** What standard output is. */
import { libc } from './internal/calls.ts';

/** include/uapi/asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413;

/** How many columns the terminal at this descriptor has; undefined where it is none, or does not say. */
export function terminalColumns(fd: number): number | undefined {
  // struct winsize: rows, columns, and the same in pixels
  const size = new Uint8Array(8);
  if (libc().ioctl(fd, TIOCGWINSZ, libc().address(size)) !== 0) return undefined;
  return new DataView(size.buffer).getUint16(2, true) || undefined;
}
