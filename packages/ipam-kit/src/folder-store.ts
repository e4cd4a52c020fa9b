/** The reservations of one network as a directory with one file per address, shared with the reference plugin.
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
import { nearestExisting, requireAccess, statLink } from '@cni-ts/libc/file-status';
import { listFolder, makeFolder } from '@cni-ts/libc/folder';
import { errnoOf, isMissing } from '@cni-ts/libc/syscall-error';
import type { Attachment } from '@cni-ts/skeleton/plugin';
import { errorText } from '@cni-ts/spec/cni-error';
import { ReservationIndex } from './reservation-index.ts';
import { type Owned, ownerOf, type Reservations, type Store } from './store.ts';

export class Folder implements Reservations {
  readonly where: string;
  readonly #indexFolder: string | undefined;
  /** Told of an address that is about to be given free, under the lock. */
  readonly beforeRelease: ((name: string) => void) | undefined;

  /** `indexFolder`: where indexes may be kept (reservation-index.ts); undefined for none. */
  constructor(directory: string, indexFolder: string | undefined, beforeRelease?: (name: string) => void) {
    this.where = directory;
    this.#indexFolder = indexFolder;
    this.beforeRelease = beforeRelease;
  }

  /** Creates the directory when it is absent. Waits for the lock for as long as it takes: the kernel takes it from a
   *  process that dies. */
  hold<T>(work: (store: Store) => T): T {
    makeFolder(this.where, 0o755);
    const lock = lockFile(`${this.where}/lock`, 0o750, openRegular);
    try {
      const folder = this.#indexFolder;
      const index = folder === undefined ? undefined : ReservationIndex.open(folder, this.where);
      const store = new FolderStore(this, index);
      try {
        return work(store);
      } finally {
        store.close();
      }
    } finally {
      lock.unlock();
    }
  }

  peek(): Store {
    return new PeekedStore(this);
  }

  /** ADD makes what is missing of the path. */
  requireAccess(): void {
    requireAccess(nearestExisting(this.where), { write: true, execute: true });
  }

  /** False where no directory is and none can be made (a full or read-only disk, a file in the way): nothing is
   *  reserved. ADD has failed, and the runtime would call DEL for ever if that did, too. */
  isKept(): boolean {
    try {
      makeFolder(this.where, 0o755);
      return true;
    } catch (error) {
      const found = statLink(this.where);
      if (found && !found.isFile) throw error;
      return false;
    }
  }
}

class FolderStore implements Store {
  readonly #folder: Folder;
  readonly #index: ReservationIndex | undefined;
  /** What a walk found, kept up to date. */
  #all: Map<string, string> | undefined;

  get where(): string {
    return this.#folder.where;
  }

  get isGlance(): boolean {
    return false;
  }

  constructor(folder: Folder, index?: ReservationIndex) {
    this.#folder = folder;
    this.#index = index;
  }

  /** From the index when that can be trusted, else by looking into every reservation. */
  owned(at: Attachment): Owned {
    const exact = this.#find(ownerOf(at));
    return { exact, legacy: this.#find(at.containerId) };
  }

  /** An index cannot know of a reservation that somebody has edited. */
  ownedForSure(at: Attachment): Owned {
    const owned = this.owned(at);
    if (owned.exact.length > 0 || owned.legacy.length > 0 || this.#all) return owned;
    this.all();
    const found = this.owned(at);
    if (found.exact.length > 0 || found.legacy.length > 0) this.#index?.distrust();
    return found;
  }

  /** What cannot be read the reference skips as well, and one bad file must not stop a whole network. */
  all(): ReadonlyMap<string, string> {
    if (this.#all) return this.#all;
    const all = new Map<string, string>();
    for (const name of this.names().filter(isReservation)) {
      const holder = this.holder(name);
      if (holder !== undefined) all.set(name, holder);
    }
    this.#all = all;
    return all;
  }

  #find(owner: string): string[] {
    if (!this.#all && this.#index?.trusted) {
      const names = this.#index.find(owner);
      // Still trusted: it could be read, and every file says what the index says.
      if (names.every((name) => this.holder(name) === owner) && this.#index.trusted) return names;
      this.#index.distrust();
    }
    return [...this.all()].filter(([, holder]) => holder === owner).map(([name]) => name);
  }

  /** For withStore: leaves an index that knows the directory as it is now. */
  close(): void {
    if (this.#index && !this.#index.trusted && this.#all) this.#index.rebuild(this.#all);
    this.#index?.close();
  }

  /** An empty file is taken over: every writer holds the lock from creating the file until it has written the owner, so
   *  whoever left this one is dead. */
  take(name: string, at: Attachment): boolean {
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

  release(name: string): void {
    const owner = this.holder(name);
    this.#index?.announceChange();
    if (owner !== undefined) this.#folder.beforeRelease?.(name);
    removeFile(this.#path(name));
    this.#all?.delete(name);
    if (owner !== undefined) this.#index?.remove(owner, name);
  }

  isOlderThan(name: string, time: bigint): boolean {
    const seen = statLink(this.#path(name));
    return seen?.isFile === true && seen.mtimeNs < time;
  }

  giveBack(name: string, at: Attachment): void {
    this.#folder.hold((store) => {
      if (store.holder(name) === ownerOf(at)) store.release(name);
    });
  }

  /** The files of addresses, and `lock` and the cursors; none when the directory does not exist. */
  names(): string[] {
    try {
      return listFolder(this.#folder.where);
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    }
  }

  /** By a look at the file's size. */
  isFree(name: string): boolean {
    const seen = statLink(this.#path(name));
    return seen === undefined || (seen.isFile && seen.size === 0);
  }

  /** '' for an empty file. White space is trimmed, as the reference does before it compares. */
  holder(name: string): string | undefined {
    try {
      return readRegular(this.#path(name)).trim();
    } catch {
      return undefined; // gone, a directory, a FIFO, a link, no permission: whatever it is, it names no owner
    }
  }

  /** Logged is anything but a missing file. */
  cursor(set: number, log: (line: string) => void): Ip | undefined {
    const path = this.#cursorPath(set);
    try {
      return parseIp(readRegular(path));
    } catch (thrown) {
      if (!isMissing(thrown)) log(`Error retrieving last reserved ip: ${errorText(thrown)}`);
      return undefined;
    }
  }

  setCursor(set: number, ip: Ip): void {
    writeRegular(this.#cursorPath(set), formatIp(ip), 0o600);
  }

  #cursorPath(set: number): string {
    return this.#path(`last_reserved_ip.${set}`);
  }

  #path(name: string): string {
    return `${this.#folder.where}/${name}`;
  }
}

class PeekedStore extends FolderStore {
  readonly #reserved = new Set<string>();
  readonly #released = new Set<string>();

  override get isGlance(): boolean {
    return true;
  }

  override take(name: string): boolean {
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

  override setCursor(): void {
    // Nothing is written.
  }
}

function isReservation(name: string): boolean {
  const ip = parseIp(name);
  return ip !== undefined && formatIp(ip) === name;
}

function createNew(path: string): number | undefined {
  try {
    return openFile(path, openFlags.writeOnly | openFlags.create | openFlags.exclusive, 0o600);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST') return undefined;
    throw thrown;
  }
}
