import { libc } from './internal/calls.ts';

/** _exit(2): ends the process at once. Nothing buffered is written, no handler runs: for a program that has written
 *  what it had to by system calls. The runtime's own way out first takes down what it had set up. */
export function exit(status: number): void {
  libc()._exit(status);
}

/** Lets the thread sleep, as precisely as the kernel can. */
export function sleep(microseconds: number): void {
  libc().usleep(microseconds);
}
