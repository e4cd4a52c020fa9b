/** The part of the compiled program's engine (packages/engine) that we use. */
interface Leaving {
  leaveBehind(descriptor: number, message: Uint8Array | undefined, milliseconds: number): boolean;
}

/**
 * Waiting that nobody needs the outcome of is left to a process of its own, which keeps the socket open for so many
 * milliseconds after it has sent the message, if there is one, and holds nothing else of ours. False where there is no
 * such thing: under Node, or when no process can be had.
 */
export function leaveBehind(
  descriptor: number,
  message: Uint8Array | undefined,
  milliseconds: number,
): boolean {
  const { engine } = globalThis as { engine?: Leaving }; // reason: a global that only the compiled program has
  return engine?.leaveBehind(descriptor, message, milliseconds) ?? false;
}
