/** The process a compiled plugin runs in, by system calls: Bun's own means would take longer to load than they run. */
import { readToEnd, textOf, tryStat, writeWhole } from '@cni-ts/libc/file';
import { exit } from '@cni-ts/libc/process';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { serve } from '@cni-ts/skeleton/serve';
import { findPlugin } from './called-as.ts';

export function run(plugin: Plugin): void {
  void serve(
    plugin,
    {
      // Invalid UTF-8 becomes U+FFFD, as in the reference's JSON decoder.
      readStdin: () => textOf(readToEnd(0, 'standard input', 65536)),
      write: (descriptor, text) =>
        writeWhole(descriptor, new TextEncoder().encode(text), `descriptor ${descriptor}`),
      look: tryStat,
      // Only the engine's own way out writes the record that the build asks for (tools/bundle/src/rehearsal.ts).
      exit: process.env.BUN_BYTECODE_ORDER_OUT === undefined ? exit : (status) => process.exit(status),
    },
    findPlugin,
  );
}
