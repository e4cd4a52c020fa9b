/**
 * Leases on disk: one file each, replaced in one step, so that a daemon that is killed at any moment finds them as they
 * were before or after. Nothing is forced to the disk: after a power cut there are no containers to go on with.
 */
import {
  readRegular,
  removeFile,
  renameFile,
  replaceRegular,
  unfinished,
  writeRegular,
} from '@cni-ts/libc/file';
import { tryStat } from '@cni-ts/libc/file-status';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import { hashedName } from '@cni-ts/libc/name-hash';
import { errorText } from '@cni-ts/spec/cni-error';

const suffix = '.lease';
/** After the name of what we cannot read. */
const aside = '.bad';

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

  /** Throws what the file system says where no lease could be stored now. */
  tryWriting(): void {
    const path = `${this.folder}/probe${suffix}${unfinished}`;
    makeFolder(this.folder, 0o700);
    writeRegular(path, 'x', 0o600);
    removeFile(path);
  }

  /** Every record, as `read` makes it of JSON; undefined from it is one that we leave where it is. What is none, or `read`
   *  throws at, is put aside under another name, and told. */
  *all<T>(read: (json: unknown) => T | undefined, tell: (line: string) => void): Generator<T> {
    for (const name of namesIn(this.folder)) {
      const path = `${this.folder}/${name}`;
      if (!name.endsWith(suffix)) {
        // A daemon was killed while it wrote this.
        if (name.endsWith(suffix + unfinished)) this.#anyway(() => removeFile(path), tell);
        continue;
      }
      try {
        const record = read(JSON.parse(readRegular(path)));
        if (record) yield record;
        else tell(`${path} is a lease of another version of this program, and is not used`);
      } catch (error) {
        tell(`${path} is no lease and is not used: ${errorText(error)}`);
        // A folder, which nobody of us has made, is no reason not to start.
        if (tryStat(path)?.isFolder) continue;
        this.#anyway(() => {
          renameFile(path, path + aside);
          tell(
            `it is kept as ${path}${aside}; if its container lives, CHECK or a new ADD takes its address again`,
          );
        }, tell);
      }
    }
  }

  /** What cannot be tidied up, on a disk that takes no writing, is told. */
  #anyway(work: () => void, tell: (line: string) => void): void {
    try {
      work();
    } catch (error) {
      tell(errorText(error));
    }
  }
}

function fileName(key: string): string {
  return hashedName(40, '', key);
}
