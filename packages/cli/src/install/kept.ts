/**
 * What was replaced, kept beside what replaced it: `.cni-ts/bridge.1.9.1` in the folder of plugins. It is the file itself,
 * by one more name, so it goes back as it was. There is one of each plugin: what was there before the last install.
 */
import {
  closeFile,
  copyFile,
  linkFile,
  openFile,
  openFlags,
  removeFile,
  renameFile,
  setMode,
  setTimes,
  syncFile,
} from '@cni-ts/libc/file';
import { type FileStatus, statLink, tryStat } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder, removeEmptyFolder } from '@cni-ts/libc/folder';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { Found } from './what-is-there.ts';

export interface Kept {
  readonly path: string;
  /** As it is told: relative to the folder of plugins. */
  readonly shown: string;
  /** What comes after the plugin's name: the version, `unknown` or `other`. */
  readonly label: string;
}

const keptFolder = '.cni-ts';

/** What is kept of a plugin, the last that was kept first. */
export function keptOf(folder: string, name: string): Kept[] {
  const home = `${folder}/${keptFolder}`;
  if (!tryStat(home)?.isFolder) return [];
  const found: { kept: Kept; since: bigint }[] = [];
  for (const entry of listFolder(home)) {
    if (!entry.startsWith(`${name}.`)) continue;
    const label = entry.slice(name.length + 1);
    const kept = { path: `${home}/${entry}`, shown: `${keptFolder}/${entry}`, label };
    // One more name for a file changes that time of it.
    found.push({ kept, since: statLink(kept.path)?.ctimeNs ?? 0n });
  }
  found.sort((a, b) => (a.since > b.since ? -1 : 1));
  return found.map(({ kept }) => kept);
}

/** Gives what lies at `path` one more name; it stays where it is. Returns that, and how it is taken back. */
export function keep(path: string, folder: string, name: string, found: Found): [Kept, undo: () => void] {
  const home = `${folder}/${keptFolder}`;
  const label = found.whose === 'other' ? 'other' : found.version.replace(/[^\w.+-]/g, '') || 'unknown';
  const kept = { path: `${home}/${name}.${label}`, shown: `${keptFolder}/${name}.${label}`, label };
  const status = statLink(path);
  const before = statLink(kept.path);
  // An install that was killed had come so far.
  if (before && status && before.ino === status.ino && before.dev === status.dev) return [kept, () => {}];
  makeFolder(home, 0o755);
  const fresh = `${home}/.${name}.${process.pid}`;
  removeFile(fresh);
  const undo = () => {
    removeFile(fresh);
    if (before === undefined) removeFile(kept.path);
    removeEmptyFolder(home);
  };
  try {
    addName(path, fresh, status);
    renameFile(fresh, kept.path);
    syncFolder(home);
  } catch (error) {
    undo();
    throw error;
  }
  return [kept, undo];
}

/** Removes what a process that was killed had not given its name yet. Whoever calls this is alone in the folder. */
export function sweepKept(folder: string): void {
  const home = `${folder}/${keptFolder}`;
  if (!tryStat(home)?.isFolder) return;
  for (const entry of listFolder(home)) if (entry.startsWith('.')) removeFile(`${home}/${entry}`);
}

/** Removes the folder where nothing is kept any more. */
export function removeKeptFolder(folder: string): void {
  removeEmptyFolder(`${folder}/${keptFolder}`);
}

/** Where the file system knows no such names, the file once more. */
function addName(path: string, fresh: string, status: FileStatus | undefined): void {
  try {
    linkFile(path, fresh);
  } catch (error) {
    const cannot = ['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'].includes(errnoOf(error) ?? '');
    if (!cannot || !status?.isFile) throw error;
    const from = openFile(path, openFlags.readOnly);
    try {
      const to = openFile(fresh, openFlags.readWrite | openFlags.create | openFlags.exclusive, 0o700);
      try {
        copyFile(from, to, { from: path, to: fresh });
        setMode(to, status.mode & 0o7777, fresh);
        syncFile(to, fresh);
      } finally {
        closeFile(to);
      }
      setTimes(fresh, status.atimeNs, status.mtimeNs);
    } finally {
      closeFile(from);
    }
  }
}

/** Until a folder is on disk too, a power cut may bring the old names back. */
export function syncFolder(folder: string): void {
  const fd = openFile(folder, openFlags.readOnly);
  try {
    syncFile(fd, folder);
  } finally {
    closeFile(fd);
  }
}
