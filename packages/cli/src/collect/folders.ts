/** Reads the files of a folder: those that are in it, and no others, wherever a link may lead. */
import { closeFile, openFlags, openRegular, readToEnd, realPath, textOf } from '@cni-ts/libc/file';
import { statDescriptor } from '@cni-ts/libc/file-status';
import { type FolderEntry, folderEntries } from '@cni-ts/libc/folder';
import { errorText } from '@cni-ts/spec/cni-error';
import type { Bag } from './bag.ts';

/** Of a folder. */
const mostFiles = 2000;
/** Bytes; of a longer file the size alone is told. */
const longest = 4 * 2 ** 20;

/** A kubelet's volumes are links within their folder; what leads out of it is not read. Throws where the folder cannot be
 *  listed. `take` is given each file's name and text. */
export function readFolder(
  folder: string,
  into: Bag,
  wanted: (name: string) => boolean,
  take: (name: string, text: string) => void,
): void {
  const root = realPath(folder);
  const entries = folderEntries(root).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const [at, entry] of entries.entries()) {
    if (at === mostFiles || into.isFull) {
      into.leftOut(`${folder}: ${entries.length - at} further files`);
      return;
    }
    if (entry.kind === 'folder') continue;
    if (!wanted(entry.name)) into.leftOut(`${folder}/${entry.name}: not of a kind that is read here`);
    else tryFile(folder, root, entry, into, take);
  }
}

function tryFile(
  folder: string,
  root: string,
  { name, kind }: FolderEntry,
  into: Bag,
  take: (name: string, text: string) => void,
): void {
  try {
    const path = kind === 'link' ? realPath(`${root}/${name}`) : `${root}/${name}`;
    if (!path.startsWith(`${root}/`)) into.leftOut(`${folder}/${name}: a link that leads out of the folder`);
    else take(name, readFile(path));
  } catch (error) {
    into.leftOut(`${folder}/${name}: ${errorText(error)}`);
  }
}

/** A regular file, by no link. */
function readFile(path: string): string {
  const fd = openRegular(path, openFlags.readOnly);
  try {
    const { size } = statDescriptor(fd);
    if (size > longest) throw new Error(`not read: it has ${size} bytes`);
    return textOf(readToEnd(fd, path, Math.max(512, size + 1), longest));
  } finally {
    closeFile(fd);
  }
}
