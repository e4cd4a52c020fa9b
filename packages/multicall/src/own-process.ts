/** What the program does with its own process: by system calls, since the engine's means take longer to load. */
import { writeWhole } from '@cni-ts/libc/file';
import { exit } from '@cni-ts/libc/process';

/** Standard output or standard error: all of it, or an exception. */
export function write(descriptor: 1 | 2, text: string): void {
  writeWhole(descriptor, new TextEncoder().encode(text), `descriptor ${descriptor}`);
}

/** Only the engine's own way out writes the record that the build asks for (tools/bundle/src/rehearsal.ts). */
export const end: (status: number) => void =
  process.env.BUN_BYTECODE_ORDER_OUT === undefined ? exit : (status) => process.exit(status);
