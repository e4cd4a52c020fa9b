/** include/uapi/asm-generic/signal.h; the same on x86-64 and aarch64. From 1 on. */
const names =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS';

/** A signal by its number: SIGKILL for 9; `signal 34` for one without a name. */
export function signalName(signal: number): string {
  const name = names.split(' ')[signal - 1];
  return name === undefined ? `signal ${signal}` : `SIG${name}`;
}

/** The number of a signal by its name, 15 for SIGTERM; 0 for a name that is none. */
export function signalNumber(name: string): number {
  return names.split(' ').indexOf(name.replace(/^SIG/, '')) + 1;
}
