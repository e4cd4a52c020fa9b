/** A process that answers one call of one plugin. */
import { callPlugin } from './dispatch.ts';
import type { Look } from './look.ts';
import type { Plugin } from './plugin.ts';

/** The process's means: main.ts has Node's, the multi-call program its own. */
export interface Means {
  /** Everything on descriptor 0. */
  readStdin(): string;
  /** All of it, or an exception. */
  write(descriptor: 1 | 2, text: string): void;
  readonly look: Look;
  exit(status: number): void;
}

/** Answers the call this process was started for, then ends the process. `inProcess` knows the other plugins of the
 *  same program. */
export function serve(
  plugin: Plugin,
  means: Means,
  inProcess?: (type: string) => Plugin | undefined,
): Promise<void> {
  let signal: string | undefined;
  const status = callPlugin(plugin, {
    env: process.env,
    readStdin() {
      const text = means.readStdin();
      // From here on there may be something to undo. Before, a signal shall end the process at once: a read that
      // blocks would keep a handler from ever running.
      for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
        process.on(name, () => {
          signal ??= name;
        });
      }
      return text;
    },
    writeStdout: (text) => means.write(1, text),
    writeStderr(text) {
      try {
        means.write(2, text);
      } catch {
        // A log line that cannot be written must not fail the work it is about, and nowhere is left to say it.
      }
    },
    look: means.look,
    interrupted: () => signal,
    ...(inProcess && { inProcess }),
  });
  // Everything was written synchronously, so nothing is cut off; waiting for the event loop to empty costs time.
  return status.then(means.exit);
}
