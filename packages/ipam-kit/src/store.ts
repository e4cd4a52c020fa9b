/** The reservations of one network: a directory with one file per address, shared with the reference plugin.
 *
 *  Byte for byte the reference's format: the file is named after the address and holds `‹container id›\r\n‹ifname›`;
 *  `last_reserved_ip.‹set›` is the cursor of a range set; `lock` is flock()ed around everything. Who creates the
 *  address file with O_EXCL owns the address: that, not the lock, is what two allocators can never both do.
 *
 *  Only regular files are opened there: whoever waits for a FIFO's other end holds the lock meanwhile, and a link leads
 *  out of the directory. */
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import {
  closeFile,
  openFile,
  openFlags,
  openRegular,
  readRegular,
  removeFile,
  writeRegular,
  writeWhole,
} from '@cni-ts/libc/file';
import { lockFile } from '@cni-ts/libc/file-lock';
import { statLink } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder } from '@cni-ts/libc/folder';
import { errnoOf, isMissing } from '@cni-ts/libc/syscall-error';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { ReservationIndex } from './reservation-index.ts';

/** What an attachment owns, as file names: reservations in its own name, and those of releases that wrote the
 *  container id alone, which belong to any interface of the container. */
export interface Owned {
  readonly exact: readonly string[];
  readonly legacy: readonly string[];
}

/** Where a network's reservations are. */
export interface Place {
  readonly directory: string;
  /** Where indexes may be kept (reservation-index.ts); undefined for none. */
  readonly indexFolder: string | undefined;
}

/** Runs `work` while nobody else may touch the directory, which is created when absent. Waits for the lock for as
 *  long as it takes: the kernel takes it from a process that dies. */
export function withStore<T>({ directory, indexFolder }: Place, work: (store: Store) => T): T {
  makeFolder(directory, 0o755);
  const lock = lockFile(`${directory}/lock`, 0o750, openRegular);
  try {
    const index = indexFolder === undefined ? undefined : ReservationIndex.open(indexFolder, directory);
    const store = new Store(directory, index);
    try {
      return work(store);
    } finally {
      store.close();
    }
  } finally {
    lock.unlock();
  }
}

/** Use it inside withStore only. Names are canonical address texts, as formatIp gives them. */
export class Store {
  readonly #directory: string;
  readonly #index: ReservationIndex | undefined;
  /** What a walk found, kept up to date. */
  #all: Map<string, string> | undefined;

  constructor(directory: string, index?: ReservationIndex) {
    this.#directory = directory;
    this.#index = index;
  }

  /** What the attachment owns, from the index when that can be trusted, else by looking into every reservation. */
  owned(at: Attachment): Owned {
    const exact = this.#find(ownerOf(at));
    return { exact, legacy: this.#find(at.containerId) };
  }

  /** The same for DEL and CHECK, which do not take an index's word for it that there is nothing: it cannot know of
   *  a reservation somebody has edited. */
  ownedForSure(at: Attachment): Owned {
    const owned = this.owned(at);
    if (owned.exact.length > 0 || owned.legacy.length > 0 || this.#all) return owned;
    this.all();
    const found = this.owned(at);
    if (found.exact.length > 0 || found.legacy.length > 0) this.#index?.distrust();
    return found;
  }

  /** Every reservation with its content, white space trimmed as the reference does before it compares. What cannot
   *  be read is left out: the reference skips it, and one bad file must not stop a whole network. */
  all(): ReadonlyMap<string, string> {
    if (this.#all) return this.#all;
    const all = new Map<string, string>();
    for (const name of reservedNames(this.#directory)) {
      const content = this.content(name);
      if (content !== undefined) all.set(name, content);
    }
    this.#all = all;
    return all;
  }

  #find(owner: string): string[] {
    if (!this.#all && this.#index?.trusted) {
      const names = this.#index.find(owner);
      // Still trusted: it could be read, and every file says what the index says.
      if (names.every((name) => this.content(name) === owner) && this.#index.trusted) return names;
      this.#index.distrust();
    }
    return [...this.all()].filter(([, content]) => content === owner).map(([name]) => name);
  }

  /** For withStore: leaves an index that knows the directory as it is now. */
  close(): void {
    if (this.#index && !this.#index.trusted && this.#all) this.#index.rebuild(this.#all);
    this.#index?.close();
  }

  /** Takes the address for the attachment; false when somebody has it. An empty file is taken over: every writer
   *  holds the lock from creating the file until it has written the owner, so whoever left this one is dead. */
  reserve(name: string, at: Attachment): boolean {
    const path = this.#path(name);
    this.#index?.announceChange();
    let file = createNew(path);
    if (file === undefined && this.isFree(name)) {
      removeFile(path);
      file = createNew(path);
    }
    if (file === undefined) return false;
    try {
      writeWhole(file, new TextEncoder().encode(ownerOf(at)), path);
    } catch (thrown) {
      removeFile(path); // a full disk: an empty file would only wait there to be taken over
      throw thrown;
    } finally {
      closeFile(file);
    }
    this.#all?.set(name, ownerOf(at));
    this.#index?.add(ownerOf(at), name);
    return true;
  }

  /** Removes the reservation; it may be gone already. */
  release(name: string): void {
    const owner = this.content(name);
    this.#index?.announceChange();
    removeFile(this.#path(name));
    this.#all?.delete(name);
    if (owner !== undefined) this.#index?.remove(owner, name);
  }

  /** Whether the reservation was last written before `time`, in nanoseconds since 1970. */
  isOlderThan(name: string, time: bigint): boolean {
    const seen = statLink(this.#path(name));
    return seen?.isFile === true && seen.mtimeNs < time;
  }

  /** Whether nobody has the address, by a look at the file's size. */
  isFree(name: string): boolean {
    const seen = statLink(this.#path(name));
    return seen === undefined || (seen.isFile && seen.size === 0);
  }

  /** Who has the address: `‹id›\r\n‹ifname›`, or an id alone; '' for an empty file, undefined when unreadable. */
  content(name: string): string | undefined {
    try {
      return readRegular(this.#path(name)).trim();
    } catch {
      return undefined; // gone, a directory, a FIFO, a link, no permission: whatever it is, it names no owner
    }
  }

  /** The address the set handed out last; undefined when there is none, or none that can be read as one. Anything
   *  but a missing file goes to `complain`. */
  lastReserved(set: number, complain: (line: string) => void): Ip | undefined {
    const path = this.#cursor(set);
    try {
      return parseIp(readRegular(path));
    } catch (thrown) {
      if (!isMissing(thrown)) complain(`Error retrieving last reserved ip: ${errorText(thrown)}`);
      return undefined;
    }
  }

  setLastReserved(set: number, ip: Ip): void {
    writeRegular(this.#cursor(set), formatIp(ip), 0o600);
  }

  #cursor(set: number): string {
    return this.#path(`last_reserved_ip.${set}`);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** A look at the directory as it is, without the lock: what is reserved in it is remembered here alone. */
export class PeekedStore extends Store {
  readonly #reserved = new Set<string>();
  readonly #released = new Set<string>();

  override reserve(name: string): boolean {
    if (!this.isFree(name)) return false;
    this.#reserved.add(name);
    return true;
  }

  override release(name: string): void {
    this.#released.add(name);
  }

  override isFree(name: string): boolean {
    return !this.#reserved.has(name) && (this.#released.has(name) || super.isFree(name));
  }

  override setLastReserved(): void {
    // Nothing is written.
  }
}

/** The addresses that have a file, in no order; none when the directory does not exist. One read of the directory,
 *  no look into the files; needs no lock. */
export function reservedNames(directory: string): string[] {
  return entryNames(directory).filter((name) => {
    const ip = parseIp(name);
    return ip !== undefined && formatIp(ip) === name;
  });
}

/** Everything in the directory: the addresses that have a file, and `lock` and the cursors. */
export function entryNames(directory: string): string[] {
  try {
    return listFolder(directory);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

/** The content of an attachment's reservations. */
export function ownerOf({ containerId, ifname }: Attachment): string {
  return `${containerId}\r\n${ifname}`;
}

function createNew(path: string): number | undefined {
  try {
    return openFile(path, openFlags.writeOnly | openFlags.create | openFlags.exclusive, 0o600);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return undefined;
    throw thrown;
  }
}
