import { tryStat } from '@cni-ts/libc/file-status';

/** Path of a plugin's executable: `‹folder›/‹type›` in the first folder where that is a regular file (links are
 *  followed, the execute bit is left for the kernel to judge). A type is a file's name, never a path, so that a
 *  configuration cannot reach outside the folders. */
export function findPlugin(type: string, folders: readonly string[]): string {
  if (type === '') throw new Error('no plugin name provided');
  if (type.includes('/') || type.includes('\0') || type === '.' || type === '..') {
    throw new Error(`invalid plugin name: ${type}`);
  }
  if (folders.length === 0) throw new Error('no paths provided');
  for (const folder of folders) {
    const path = `${folder === '' ? '.' : withoutSlashes(folder)}/${type}`;
    if (tryStat(path)?.isFile) return path;
  }
  throw new Error(`failed to find plugin ${JSON.stringify(type)} in path [${folders.join(' ')}]`);
}

/** A folder's path without slashes at its end, that of the root excepted. */
export function withoutSlashes(folder: string): string {
  let end = folder.length;
  while (end > 1 && folder.charCodeAt(end - 1) === 0x2f) end--;
  return folder.slice(0, end);
}
