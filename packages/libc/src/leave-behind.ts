/** The part of the compiled program's engine (packages/engine) that we use. */
interface Leaving {
  leaveBehind(descriptor: number, message: Uint8Array | undefined, milliseconds: number): boolean;
}

/**
 * Waiting that nobody needs the outcome of is left to a process of its own, which keeps the socket open for so many
 * milliseconds after it has sent the message, if there is one, and holds nothing else of ours. There is one such process
 * at most, which sends one message and keeps any number of sockets. False where it cannot be left: under Node, when no
 * process can be had, for a second message, and where it would stay as a zombie, since the first process of the PID
 * namespace is not known to wait for orphans.
 */
export function leaveBehind(
  descriptor: number,
  message: Uint8Array | undefined,
  milliseconds: number,
): boolean {
  const { engine } = globalThis as { engine?: Leaving }; // reason: a global that only the compiled program has
  return engine?.leaveBehind(descriptor, message, milliseconds) ?? false;
}
