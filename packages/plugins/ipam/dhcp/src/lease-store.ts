/**
 * Leases on disk: one file each, replaced in one step, so that a daemon that is killed at any moment finds them as they
 * were before or after. Nothing is forced to the disk: after a power cut there are no containers to go on with.
 */
import { readRegular, removeFile, replaceRegular, unfinished } from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import { hashedName } from '@cni-ts/libc/name-hash';

const suffix = '.lease';

export class LeaseStore {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  #path(key: string): string {
    return `${this.folder}/${fileName(key)}${suffix}`;
  }

  /** Throws what the file system said; what was kept before still is. */
  write(key: string, record: object): void {
    makeFolder(this.folder, 0o700);
    replaceRegular(this.#path(key), `${JSON.stringify(record)}\n`, 0o600);
  }

  remove(key: string): void {
    removeFile(this.#path(key));
  }

  /** Every record, and by `bad` what is none, which is removed where it is a file. */
  *all(bad: (path: string, error: unknown) => void): Generator<unknown> {
    for (const name of namesIn(this.folder)) {
      const path = `${this.folder}/${name}`;
      if (!name.endsWith(suffix)) {
        // A daemon was killed while it wrote this.
        if (name.endsWith(suffix + unfinished)) removeFile(path);
        continue;
      }
      try {
        yield JSON.parse(readRegular(path)) as unknown;
      } catch (error) {
        bad(path, error);
        // A folder, which nobody of us has made, is no reason not to start.
        if (!tryStat(path)?.isFolder) removeFile(path);
      }
    }
  }
}

function fileName(key: string): string {
  return hashedName(40, '', key);
}
