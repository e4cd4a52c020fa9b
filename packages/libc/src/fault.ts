/**
 * Where every change to the kernel passes, so that a test can make the n-th one fail. In production the hook is
 * absent and this costs one comparison.
 */
let hook: ((what: string) => void) | undefined;

/** Called before each request that changes the kernel; `what` names it ('RTM_NEWLINK', 'write net/ipv4/ip_forward'). */
export function kernelWrite(what: string): void {
  hook?.(what);
}

/** For tests: installs a hook that may throw instead of letting the write happen; undefined takes it away. */
export function onKernelWrite(newHook: ((what: string) => void) | undefined): void {
  hook = newHook;
}
