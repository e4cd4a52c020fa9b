/** Replacing a file so that nobody, not even after a power cut, ever sees half of it. */
import { basename, dirname } from 'node:path';
import {
  closeFile,
  openFile,
  openFlags,
  removeFile,
  renameFile,
  syncFile,
  writeWhole,
} from '@cni-ts/libc/file';
import { makeFolder } from '@cni-ts/libc/folder';

/** The calls a replacement, and making its folders, consists of; tests make each of them fail in turn. */
export const fileCalls = { closeFile, makeFolder, openFile, removeFile, renameFile, syncFile, writeWhole };
export type FileCalls = typeof fileCalls;

export interface Replacement {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** What the path of the new file begins with before it takes its place: on the same file system, and where nobody
   *  takes it for one. */
  readonly temporaries: string;
}

/** Both folders must exist. Throws what the file system said; the file is then as it was. */
export function replaceFile(
  { path, text, mode, temporaries }: Replacement,
  calls: FileCalls = fileCalls,
): void {
  const temporary = `${temporaries}${basename(path)}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    writeDurably(temporary, text, mode, calls);
    calls.renameFile(temporary, path);
  } catch (error) {
    calls.removeFile(temporary);
    throw error;
  }
  // Until the folder is on disk too, a power cut may bring the old file back.
  const folder = dirname(path);
  withFile(folder, openFlags.readOnly, 0, calls, (fd) => calls.syncFile(fd, folder));
}

function writeDurably(path: string, text: string, mode: number, calls: FileCalls): void {
  const flags = openFlags.writeOnly | openFlags.create | openFlags.exclusive;
  withFile(path, flags, mode, calls, (fd) => {
    calls.writeWhole(fd, new TextEncoder().encode(text), path);
    // Without this the rename may reach the disk before the content: that is the zero-byte file after a crash.
    calls.syncFile(fd, path);
  });
}

function withFile(
  path: string,
  flags: number,
  mode: number,
  calls: FileCalls,
  work: (fd: number) => void,
): void {
  const fd = calls.openFile(path, flags, mode);
  try {
    work(fd);
  } finally {
    calls.closeFile(fd);
  }
}
