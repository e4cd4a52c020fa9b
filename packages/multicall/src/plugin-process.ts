/** The process a compiled plugin runs in, by system calls: Bun's own means would take longer to load than they run. */
import { readToEnd, textOf, tryStat } from '@cni-ts/libc/file';
import type { Plugin } from '@cni-ts/skeleton/plugin';
import { serve } from '@cni-ts/skeleton/serve';
import { findPlugin } from './called-as.ts';
import { end, write } from './own-process.ts';

export function run(plugin: Plugin): void {
  void serve(
    plugin,
    {
      // Invalid UTF-8 becomes U+FFFD, as in the reference's JSON decoder.
      readStdin: () => textOf(readToEnd(0, 'standard input', 8192)),
      write,
      look: tryStat,
      exit: end,
    },
    findPlugin,
  );
}
