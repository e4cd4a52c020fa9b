import { closeFile, openFile, openFlags } from './file.ts';
import { statLink, tryStat } from './file-status.ts';
import { cString, libc } from './internal/calls.ts';
import { failure } from './internal/failure.ts';
import { errnoOf, isMissing } from './syscall-error.ts';
import { systemText } from './system-text.ts';

/** The architecture's own number, as that of O_NOFOLLOW. */
const O_DIRECTORY = process.arch === 'arm64' ? 0o40000 : 0o200000;

/** Makes a folder and those above it where they are missing. Throws `mkdir <path>: …`. */
export function makeFolder(path: string, mode: number): void {
  // Nearly always it is there.
  if (tryStat(path)?.isFolder) return;
  const error = refusal(path, mode);
  if (error === undefined) return;
  const above = path.slice(0, Math.max(0, path.lastIndexOf('/', path.length - 2)));
  if (errnoOf(error) !== 'ENOENT' || above === '') throw error;
  makeFolder(above, mode);
  // Once more only: below /proc it is not found for ever.
  const again = refusal(path, mode);
  if (again !== undefined) throw again;
}

/** Removes a folder where nothing is in it; false where something is, or it was not there. Throws `rmdir <path>: …`. */
export function removeEmptyFolder(path: string): boolean {
  if (libc().rmdir(cString(path)) === 0) return true;
  const error = failure('rmdir', path, 'rmdir');
  if (isMissing(error) || ['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) return false;
  throw error;
}

/** Why the folder could not be made; undefined where it is there now. */
function refusal(path: string, mode: number): Error | undefined {
  if (libc().mkdir(cString(path), mode) === 0) return undefined;
  const error = failure('mkdir', path, 'mkdir');
  return errnoOf(error) === 'EEXIST' && tryStat(path)?.isFolder ? undefined : error;
}

/** What a name in a folder stands for: the link itself, where it is one. */
export interface FolderEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
}

/** struct linux_dirent64: inode and offset, length of the record, kind (DT_REG …), name. */
const DT_UNKNOWN = 0;
const kinds: Readonly<Record<number, FolderEntry['kind']>> = { 4: 'folder', 8: 'file', 10: 'link' };

/** What is in a folder, in no order. Throws `open <path>: …`. */
export function folderEntries(path: string): FolderEntry[] {
  const entries: FolderEntry[] = [];
  eachEntry(path, (name, kind) => {
    entries.push({ name, kind: kind === DT_UNKNOWN ? kindOf(`${path}/${name}`) : (kinds[kind] ?? 'other') });
  });
  return entries;
}

/** The names in a folder, in no order. Throws `open <path>: …`. */
export function listFolder(path: string): string[] {
  const names: string[] = [];
  eachEntry(path, (name) => void names.push(name));
  return names;
}

function eachEntry(path: string, tell: (name: string, kind: number) => void): void {
  const fd = openFile(path, openFlags.readOnly | O_DIRECTORY);
  try {
    const bytes = new Uint8Array(32768);
    for (;;) {
      const length = libc().getdents64(fd, bytes, bytes.length);
      if (length < 0) throw failure('open', path, 'getdents64');
      if (length === 0) return;
      for (let at = 0; at < length; ) {
        const end = at + (bytes[at + 16] ?? 0) + (bytes[at + 17] ?? 0) * 256;
        const name = systemText(bytes.subarray(at + 19, bytes.indexOf(0, at + 19)));
        if (name !== '.' && name !== '..') tell(name, bytes[at + 18] ?? DT_UNKNOWN);
        at = end;
      }
    }
  } finally {
    closeFile(fd);
  }
}

/** Where the file system does not tell with the name. */
function kindOf(path: string): FolderEntry['kind'] {
  const status = statLink(path);
  if (status?.isFile) return 'file';
  if (status?.isFolder) return 'folder';
  return status && (status.mode & 0o170000) === 0o120000 ? 'link' : 'other';
}

/** Like listFolder; none where there is no folder. */
export function namesIn(path: string): string[] {
  try {
    return listFolder(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
