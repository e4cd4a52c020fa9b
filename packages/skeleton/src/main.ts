/** A plugin as a process that answers one call: all of it by system calls, on Node and in the compiled program. */
import { readToEnd, textOf, writeWhole } from '@cni-ts/libc/file';
import { exit } from '@cni-ts/libc/process';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { CniError, ErrorCode } from '@cni-ts/spec/cni-error';
import { mostConfiguration, mostMebibytes } from '@cni-ts/spec/most-configuration';
import { callPlugin } from './dispatch.ts';
import type { Plugin } from './plugin.ts';

/** Answers the call this process was started for, then ends the process. `inProcess` knows the other plugins of the
 *  same program. */
export function main(plugin: Plugin, inProcess?: (type: string) => Plugin | undefined): void {
  const service = plugin.services?.[process.argv[2] ?? ''];
  if (service) {
    void service(process.argv.slice(3)).then(exit);
    return;
  }
  let signal: string | undefined;
  const status = callPlugin(plugin, {
    env: process.env,
    readStdin() {
      // Invalid UTF-8 becomes U+FFFD, as in the reference's JSON decoder.
      const text = textOf(readStdin());
      // From here on there may be something to undo. Before, a signal shall end the process at once: a read that
      // blocks would keep a handler from ever running.
      for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
        process.on(name, () => {
          signal ??= name;
        });
      }
      return text;
    },
    writeStdout: (text) => write(1, text),
    writeStderr(text) {
      try {
        write(2, text);
      } catch {
        // A log line that cannot be written must not fail the work it is about, and nowhere is left to say it.
      }
    },
    interrupted: () => signal,
    ...(inProcess && { inProcess }),
  });
  // Everything was written synchronously, so nothing is cut off; waiting for the event loop to empty costs time.
  void status.then(exit);
}

function readStdin(): Uint8Array {
  try {
    return readToEnd(0, 'standard input', 8192, mostConfiguration);
  } catch (error) {
    if (errnoOf(error) !== 'EFBIG') throw error;
    throw new CniError(
      ErrorCode.invalidConfig,
      `the network configuration on standard input has more than ${mostMebibytes} MiB`,
      'a runtime never sends that much; look at what it adds to the configuration, such as args or prevResult',
    );
  }
}

/** Standard output or standard error: all of it, or an exception. */
export function write(descriptor: 1 | 2, text: string): void {
  writeWhole(descriptor, new TextEncoder().encode(text), `descriptor ${descriptor}`);
}
