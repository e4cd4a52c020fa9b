/** The reservations of one network: a directory with one file per address, shared with the reference plugin.
 *
 *  Byte for byte the reference's format: the file is named after the address and holds `‹container id›\r\n‹ifname›`;
 *  `last_reserved_ip.‹set›` is the cursor of a range set; `lock` is flock()ed around everything. Who creates the
 *  address file with O_EXCL owns the address: that, not the lock, is what two allocators can never both do. */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { lockFile } from '@cni-ts/libc/file-lock';
import { errnoOf, fileError } from '@cni-ts/libc/syscall-error';
import type { Attachment } from '@cni-ts/skeleton/plugin';

/** What an attachment owns, as file names: reservations in its own name, and those of releases that wrote the
 *  container id alone, which belong to any interface of the container. */
export interface Owned {
  readonly exact: readonly string[];
  readonly legacy: readonly string[];
}

/** Runs `work` while nobody else may touch the directory, which is created when absent. Waits for the lock for as
 *  long as it takes: the kernel takes it from a process that dies. */
export function withStore<T>(directory: string, work: (store: Store) => T): T {
  attempt('mkdir', directory, () => mkdirSync(directory, { recursive: true, mode: 0o755 }));
  const lock = lockFile(join(directory, 'lock'), 0o750);
  try {
    return work(new Store(directory));
  } finally {
    lock.unlock();
  }
}

/** Use it inside withStore only. Names are canonical address texts, as formatIp gives them. */
export class Store {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Looks into every reservation. */
  owned(at: Attachment): Owned {
    const all = [...this.all()];
    const of = (owner: string) => all.filter(([, content]) => content === owner).map(([name]) => name);
    return { exact: of(ownerOf(at)), legacy: of(at.containerId) };
  }

  /** Every reservation with its content, white space trimmed as the reference does before it compares. What cannot
   *  be read is left out: the reference skips it, and one bad file must not stop a whole network. */
  all(): Map<string, string> {
    const all = new Map<string, string>();
    for (const name of reservedNames(this.#directory)) {
      const content = this.content(name);
      if (content !== undefined) all.set(name, content);
    }
    return all;
  }

  /** Takes the address for the attachment; false when somebody has it. An empty file is taken over: every writer
   *  holds the lock from creating the file until it has written the owner, so whoever left this one is dead. */
  reserve(name: string, at: Attachment): boolean {
    const path = join(this.#directory, name);
    let file = createNew(path);
    if (file === undefined && this.isFree(name)) {
      attempt('remove', path, () => unlinkSync(path));
      file = createNew(path);
    }
    if (file === undefined) return false;
    try {
      writeSync(file, ownerOf(at));
    } catch (thrown) {
      unlinkSync(path); // a full disk: an empty file would only wait there to be taken over
      throw fileError('write', path, thrown);
    } finally {
      closeSync(file);
    }
    return true;
  }

  /** Removes the reservation; it may be gone already. */
  release(name: string): void {
    const path = join(this.#directory, name);
    try {
      unlinkSync(path);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') throw fileError('remove', path, thrown);
    }
  }

  /** Whether nobody has the address, by a look at the file's size. */
  isFree(name: string): boolean {
    const seen = lstatSync(join(this.#directory, name), { throwIfNoEntry: false });
    return seen === undefined || (seen.isFile() && seen.size === 0);
  }

  /** Who has the address: `‹id›\r\n‹ifname›`, or an id alone; '' for an empty file, undefined when unreadable. */
  content(name: string): string | undefined {
    try {
      return readFileSync(join(this.#directory, name), 'utf8').trim();
    } catch {
      return undefined; // gone, a directory, no permission: whatever it is, it names no owner
    }
  }

  /** The address the set handed out last; undefined when there is none, or none that can be read as one. Anything
   *  but a missing file goes to `complain`. */
  lastReserved(set: number, complain: (line: string) => void): Ip | undefined {
    const path = this.#cursor(set);
    try {
      return parseIp(readFileSync(path, 'utf8'));
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') {
        complain(`Error retrieving last reserved ip: ${fileError('read', path, thrown).message}`);
      }
      return undefined;
    }
  }

  setLastReserved(set: number, ip: Ip): void {
    const path = this.#cursor(set);
    attempt('open', path, () => writeFileSync(path, formatIp(ip), { mode: 0o600 }));
  }

  #cursor(set: number): string {
    return join(this.#directory, `last_reserved_ip.${set}`);
  }
}

/** The addresses that have a file, in no order; none when the directory does not exist. One read of the directory,
 *  no look into the files; needs no lock. */
export function reservedNames(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw fileError('open', directory, thrown);
  }
  // Cheap test first: `lock` and the cursors are the only other names there should be.
  return names.filter((name) => {
    const ip = parseIp(name);
    return ip !== undefined && formatIp(ip) === name;
  });
}

/** The content of an attachment's reservations. */
export function ownerOf({ containerId, ifname }: Attachment): string {
  return `${containerId}\r\n${ifname}`;
}

function createNew(path: string): number | undefined {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return undefined;
    throw fileError('open', path, thrown);
  }
}

function attempt<T>(operation: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw fileError(operation, path, thrown);
  }
}
