import { existsSync, readFileSync } from 'node:fs';

/** __SO_ACCEPTCON of linux/net.h, as /proc/net/unix shows it. */
const accepts = ' 00010000 ';

/**
 * Whether somebody takes connections at this path of a stream socket, in the calling thread's network namespace. The file is
 * there a moment earlier, and who connects then is refused.
 */
export function isListening(path: string): boolean {
  if (!existsSync(path)) return false;
  return readFileSync('/proc/thread-self/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.includes(accepts));
}
