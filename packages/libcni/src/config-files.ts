/** Which files of a folder are configurations. */
import { join } from 'node:path';
import { folderEntries } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { byBytes } from './byte-order.ts';
import { wrapped } from './wrapped-error.ts';

/**
 * The files of a folder with one of these extensions (text from the last dot, letter case counts), in byte order.
 * Folders do not count, whatever they are called. A missing folder is an empty one.
 */
export function configFiles(folder: string, extensions: readonly string[], complaint?: string): string[] {
  try {
    return folderEntries(folder)
      .filter(({ kind }) => kind === 'file' || kind === 'link')
      .map(({ name }) => name)
      .filter((name) => extensions.includes(name.slice(Math.max(name.lastIndexOf('.'), 0))))
      .map((name) => join(folder, name))
      .sort(byBytes);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw complaint === undefined ? error : wrapped(complaint, error);
  }
}
