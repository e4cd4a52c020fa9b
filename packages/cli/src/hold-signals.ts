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
