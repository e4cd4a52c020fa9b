/** Replacing a file so that nobody, not even after a power cut, ever sees half of it. */
import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The calls a replacement is made of; tests make each of them fail in turn. */
export type FileCalls = Pick<
  typeof fs,
  'closeSync' | 'fsyncSync' | 'mkdirSync' | 'openSync' | 'renameSync' | 'rmSync' | 'writeSync'
>;

export interface Replacement {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** Where the new file is written before it takes its place: on the same file system, and where nobody lists. */
  readonly workshop: string;
}

/** Both folders must exist. Throws what the file system threw; the file is then as it was. */
export function replaceFile({ path, text, mode, workshop }: Replacement, calls: FileCalls = fs): void {
  const temporary = join(workshop, `${basename(path)}.${process.pid}.${Math.random().toString(36).slice(2)}`);
  try {
    writeDurably(temporary, text, mode, calls);
    calls.renameSync(temporary, path);
  } catch (error) {
    calls.rmSync(temporary, { force: true });
    throw error;
  }
  // Until the folder is on disk too, a power cut may bring the old file back.
  withFile(dirname(path), 'r', undefined, calls, (fd) => calls.fsyncSync(fd));
}

function writeDurably(path: string, text: string, mode: number, calls: FileCalls): void {
  withFile(path, 'wx', mode, calls, (fd) => {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += calls.writeSync(fd, bytes, written);
    // Without this the rename may reach the disk before the content: that is the zero-byte file after a crash.
    calls.fsyncSync(fd);
  });
}

function withFile(
  path: string,
  flags: string,
  mode: number | undefined,
  calls: FileCalls,
  work: (fd: number) => void,
): void {
  const fd = calls.openSync(path, flags, mode);
  try {
    work(fd);
  } finally {
    calls.closeSync(fd);
  }
}
