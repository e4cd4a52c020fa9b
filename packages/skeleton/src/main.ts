/** The process a plugin runs in: descriptors 0, 1 and 2, signals, exit status. */
import { readSync, writeSync } from 'node:fs';
import { callPlugin } from './dispatch.ts';
import type { Plugin } from './plugin.ts';

/** Answers the call this process was started for, then ends the process. `inProcess` knows the other plugins of the
 *  same program. */
export function main(plugin: Plugin, inProcess?: (type: string) => Plugin | undefined): void {
  let signal: string | undefined;
  const status = callPlugin(plugin, {
    env: process.env,
    readStdin() {
      const text = readAll(0);
      // From here on there may be something to undo. Before, a signal shall end the process at once: a read that
      // blocks would keep a handler from ever running.
      for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
        process.on(name, () => {
          signal ??= name;
        });
      }
      return text;
    },
    writeStdout: (text) => writeAll(1, text),
    writeStderr: writeLog,
    interrupted: () => signal,
    ...(inProcess && { inProcess }),
  });
  // Everything was written synchronously, so nothing is cut off; waiting for the event loop to empty costs time.
  void status.then((code) => process.exit(code));
}

const blockSize = 65536;

/** Up to end of file. Invalid UTF-8 becomes U+FFFD, as in the reference's JSON decoder. */
function readAll(fd: number): string {
  const blocks: Buffer[] = [];
  for (;;) {
    const block = Buffer.allocUnsafe(blockSize);
    const length = patiently(() => readSync(fd, block, 0, blockSize, null));
    if (length === 0) return Buffer.concat(blocks).toString('utf8');
    blocks.push(block.subarray(0, length));
  }
}

function writeAll(fd: number, text: string): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    const chunk = rest;
    rest = rest.subarray(patiently(() => writeSync(fd, chunk)));
  }
}

/** A log line that cannot be written must not fail the work it is about. */
function writeLog(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // Nowhere is left to say it.
  }
}

/** Whoever started the plugin may have handed over descriptors that do not block: EAGAIN then means `later`. Node
 *  has no poll(2); a millisecond's sleep in between costs the other end nothing. */
function patiently(io: () => number): number {
  for (;;) {
    try {
      return io();
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN' && code !== 'EINTR') throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
