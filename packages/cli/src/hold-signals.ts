/** A plugin that is called in this process gets to undo its work when the operator presses Ctrl-C. */
import type { HeldSignals } from '@cni-ts/libcni/in-process';

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Keeps the signals that would end the process, until released. */
export function holdSignals(): HeldSignals {
  let first: string | undefined;
  const note = (name: string) => {
    first ??= name;
  };
  for (const name of names) process.on(name, note);
  return {
    interrupted: () => first,
    release() {
      for (const name of names) process.off(name, note);
    },
  };
}

/** Asks held signals which came first: they are told by the event loop, which nothing else gives a turn to meanwhile. */
export async function whichStopped(held: HeldSignals): Promise<string | undefined> {
  // The first turn may be the rest of one that had looked for signals already.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  return held.interrupted();
}
