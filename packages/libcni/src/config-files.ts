/** Which files of a folder are configurations. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { wrapped } from './wrapped-error.ts';

/**
 * The files of a folder with one of these extensions (text from the last dot, letter case counts), in byte order.
 * Folders do not count, whatever they are called. A missing folder is an empty one.
 */
export function configFiles(folder: string, extensions: readonly string[], complaint?: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .filter((name) => extensions.includes(name.slice(Math.max(name.lastIndexOf('.'), 0))))
      .map((name) => join(folder, name))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw complaint === undefined ? error : wrapped(complaint, error);
  }
}
