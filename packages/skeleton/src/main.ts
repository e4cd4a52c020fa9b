/** A plugin as a program of its own for Node: the JavaScript bundles, and programs run from source. */
import { readSync, writeSync } from 'node:fs';
import { lookWithNode } from './look.ts';
import type { Plugin } from './plugin.ts';
import { serve } from './serve.ts';

/** Answers the call this process was started for, then ends the process. */
export function main(plugin: Plugin): void {
  void serve(plugin, {
    readStdin: () => readAll(0),
    write: writeAll,
    look: lookWithNode,
    exit: (status) => process.exit(status),
  });
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
