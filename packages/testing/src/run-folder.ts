/** Vitest's part that is called before the first file of tests and after the last: a folder for what is made once and is of
 *  no use after the run (source-program.ts). A worker that Vitest ends has no moment to remove its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'cni-run-'));
  process.env.CNI_TS_RUN_FOLDER = folder;
  // Where Node keeps what it has made of our sources: the next process of the run need not.
  process.env.NODE_COMPILE_CACHE ??= join(folder, 'compiled');
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // Once more at the very end: a process that a test has ended may still write into the folder, which makes it anew.
  process.once('exit', remove);
  return remove;
}
