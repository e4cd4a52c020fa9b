/** Who owns which address, findable without opening every reservation: a hash table in a file of its own.
 *
 *  It is a hint, never an authority. The directory belongs to everybody who follows the reference's format, so the
 *  table lies outside of it and is believed only while nobody else has changed the directory since. That is read
 *  off the directory's mtime and ctime, which the kernel sets whenever an entry comes or goes. Its clock may stand
 *  still for some milliseconds, so two changes can leave the same time; therefore the last thing written here is an
 *  mtime of our own, `backdated` behind the clock, which no change by anybody else can leave behind.
 *
 *  The header says `writing` before a change to the directory and `settled` after it, so a table whose writer died
 *  is not believed either. Every access happens under the directory's lock. Whatever goes wrong with the table
 *  only costs time: the caller walks through the directory, as the reference always does, and makes it anew. */
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { closeFile, openFile, openFlags, readAt, setTimes, writeAt } from '@cni-ts/libc/file';
import { fileSystemOf, statDescriptor, statFile, statLink } from '@cni-ts/libc/file-status';
import { makeFolder } from '@cni-ts/libc/folder';

/** Header: magic, state, slots, slots ever used, mtime and ctime of the directory in ns. */
const headerBytes = 40;
const magic = 0x31_6c_68_63; // 'chl1', little endian
const writing = 0;
const settled = 1;

/** A slot: 64 bits of the owner's hash, then the address, IPv4 as IPv4-mapped IPv6. All zero: never used. */
const slotBytes = 24;
const smallest = 1024; // slots
const slotsPerRead = 64;

/** File systems keep times in steps of up to two seconds. */
const backdatedMs = 3000;
const coarsestMs = 2000;

/** Over a network, another host may change the directory and this one keep seeing old times for seconds:
 *  9p, ceph, FUSE, NFS, SMB 1 and 2 (include/uapi/linux/magic.h). */
const remote = new Set([0x01021997, 0x00c36400, 0x65735546, 0x6969, 0xff534d42, 0xfe534d42]);

export class ReservationIndex {
  readonly #directory: string;
  readonly #path: string;
  #file: number | undefined;
  #trusted = false;
  #state: typeof writing | typeof settled = settled;
  #slots = 0;
  #used = 0;
  /** Some slots in a row as last read, and the first one's number. */
  #seen = nothingSeen;

  private constructor(directory: string, path: string) {
    this.#directory = directory;
    this.#path = path;
  }

  /** The index of an existing directory, in a folder only this user can write to; undefined where there can be none.
   *  Named by device and inode: one directory has one index under whatever path it is reached. */
  static open(folder: string, directory: string): ReservationIndex | undefined {
    try {
      makeFolder(folder, 0o700);
      const place = statLink(folder);
      if (!place?.isFolder || place.uid !== process.getuid?.() || (place.mode & 0o077) !== 0)
        return undefined;
      const { dev, ino, mtimeNs, ctimeNs } = statFile(directory);
      const index = new ReservationIndex(directory, `${folder}/${dev.toString(16)}-${ino.toString(16)}`);
      index.#attempt(() => index.#load(mtimeNs, ctimeNs));
      return index;
    } catch {
      return undefined; // a read-only /run, no permission: the directory is walked instead
    }
  }

  /** Whether it knows every reservation. Nothing else may be asked of it while it does not. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** For when it turned out to be wrong: somebody edited a reservation in place. */
  distrust(): void {
    this.#trusted = false;
  }

  /** Names of the owner's reservations, perhaps with some that are not: look into them. */
  find(owner: string): string[] {
    const names: string[] = [];
    const key = hash(owner);
    this.#attempt(() => {
      for (const { bytes } of this.#chain(key).used) if (holds(bytes, key)) names.push(nameIn(bytes));
    });
    return names;
  }

  /** To be called before the directory is changed. */
  announceChange(): void {
    if (!this.#trusted || this.#state === writing) return;
    this.#state = writing;
    this.#attempt(() => this.#writeHeader(0n, 0n));
  }

  add(owner: string, name: string): void {
    if (!this.#trusted) return;
    this.#attempt(() => {
      if ((this.#used + 1) * 4 > this.#slots * 3) this.#grow();
      const added = entry(owner, name);
      const { used, end } = this.#chain(added);
      const again = used.find(({ bytes }) => isFreed(bytes));
      if (!again) this.#used++;
      this.#writeSlot(again?.slot ?? end, added);
    });
  }

  remove(owner: string, name: string): void {
    if (!this.#trusted) return;
    this.#attempt(() => {
      const wanted = entry(owner, name);
      const found = this.#chain(wanted).used.find(({ bytes }) =>
        bytes.every((byte, i) => byte === wanted[i]),
      );
      if (found) this.#writeSlot(found.slot, freed);
    });
  }

  /** Forgets everything and takes what a walk through the directory found: owners by name. */
  rebuild(reservations: ReadonlyMap<string, string>): void {
    this.#trusted = true;
    this.#state = writing;
    this.#attempt(() => {
      if (remote.has(fileSystemOf(this.#directory))) {
        this.#trusted = false;
        return;
      }
      this.#writeTable([...reservations].map(([name, owner]) => entry(owner, name)));
    });
  }

  /** Makes the index worth trusting again after changes, and closes it. */
  close(): void {
    this.#attempt(() => {
      if (this.#trusted && this.#state === writing) this.#settle();
    });
    if (this.#file !== undefined) closeFile(this.#file);
    this.#file = undefined;
  }

  #load(mtimeNs: bigint, ctimeNs: bigint): void {
    this.#file = openFile(this.#path, openFlags.readWrite | openFlags.noFollow);
    const bytes = new Uint8Array(headerBytes);
    if (readAt(this.#file, bytes, 0) !== headerBytes) return;
    const header = new DataView(bytes.buffer);
    this.#slots = header.getUint32(8, true);
    this.#used = header.getUint32(12, true);
    this.#trusted =
      header.getUint32(0, true) === magic &&
      header.getUint32(4, true) === settled &&
      header.getBigInt64(16, true) === mtimeNs &&
      header.getBigInt64(24, true) === ctimeNs &&
      statDescriptor(this.#file).size === headerBytes + this.#slots * slotBytes;
  }

  #settle(): void {
    const now = Date.now();
    let { mtimeNs, ctimeNs, atimeNs } = statFile(this.#directory);
    if (mtimeNs > nanoseconds(now - backdatedMs)) {
      setTimes(this.#directory, atimeNs, nanoseconds(now - backdatedMs));
      ({ mtimeNs, ctimeNs } = statFile(this.#directory));
    }
    // Not ours: somebody without the lock was here this very moment.
    if (mtimeNs > nanoseconds(now - coarsestMs)) return;
    this.#state = settled;
    this.#writeHeader(mtimeNs, ctimeNs);
  }

  #writeHeader(mtimeNs: bigint, ctimeNs: bigint): void {
    const header = new DataView(new ArrayBuffer(headerBytes));
    header.setUint32(0, magic, true);
    header.setUint32(4, this.#state, true);
    header.setUint32(8, this.#slots, true);
    header.setUint32(12, this.#used, true);
    header.setBigInt64(16, mtimeNs, true);
    header.setBigInt64(24, ctimeNs, true);
    writeAt(this.#file!, new Uint8Array(header.buffer), 0);
  }

  /** The slots an owner's entries can be in, from the one its hash names on, and the first never used, which ends them. */
  #chain(key: Uint8Array): { used: { slot: number; bytes: Uint8Array }[]; end: number } {
    const used: { slot: number; bytes: Uint8Array }[] = [];
    let slot = word(key, 0) & (this.#slots - 1);
    for (let walked = 0; walked < this.#slots; walked++, slot = (slot + 1) & (this.#slots - 1)) {
      const bytes = this.#readSlot(slot);
      if (isUnused(bytes)) return { used, end: slot };
      used.push({ slot, bytes });
    }
    throw new Error('no unused slot: not a table made here');
  }

  #readSlot(slot: number): Uint8Array {
    let offset = (slot - this.#seen.first) * slotBytes;
    if (offset < 0 || offset >= this.#seen.bytes.length) {
      const bytes = new Uint8Array(Math.min(slotsPerRead, this.#slots - slot) * slotBytes);
      readAt(this.#file!, bytes, headerBytes + slot * slotBytes);
      this.#seen = { first: slot, bytes };
      offset = 0;
    }
    return this.#seen.bytes.subarray(offset, offset + slotBytes);
  }

  #writeSlot(slot: number, bytes: Uint8Array): void {
    writeAt(this.#file!, bytes, headerBytes + slot * slotBytes);
    this.#seen = nothingSeen;
  }

  #grow(): void {
    const table = new Uint8Array(this.#slots * slotBytes);
    readAt(this.#file!, table, headerBytes);
    const entries: Uint8Array[] = [];
    for (let at = 0; at < table.length; at += slotBytes) {
      const bytes = table.subarray(at, at + slotBytes);
      if (!isUnused(bytes) && !isFreed(bytes)) entries.push(bytes);
    }
    this.#writeTable(entries);
  }

  /** At most half full, so that chains stay short. */
  #writeTable(entries: readonly Uint8Array[]): void {
    let slots = smallest;
    while (slots < entries.length * 2) slots *= 2;
    const file = new Uint8Array(headerBytes + slots * slotBytes);
    for (const bytes of entries) {
      let slot = word(bytes, 0) & (slots - 1);
      while (!isUnused(file.subarray(headerBytes + slot * slotBytes))) slot = (slot + 1) & (slots - 1);
      file.set(bytes, headerBytes + slot * slotBytes);
    }
    if (this.#file !== undefined) closeFile(this.#file);
    const { readWrite, create, truncate, noFollow } = openFlags;
    this.#file = undefined; // stays so when the file cannot be opened
    this.#file = openFile(this.#path, readWrite | create | truncate | noFollow, 0o600);
    this.#slots = slots;
    this.#used = entries.length;
    this.#seen = nothingSeen;
    writeAt(this.#file, file, 0);
    this.#writeHeader(0n, 0n);
  }

  /** A failing index is one that is not trusted: nothing of what it is for depends on it. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch {
      this.#trusted = false;
    }
  }
}

/** 64 bits of the owner, as a slot begins with them; never those of an unused or freed slot. FNV-1a over the text in
 *  both directions, mixed. Owners whose hashes meet are told apart by their files. */
function hash(owner: string): Uint8Array {
  let [forth, back] = [0x811c9dc5, 0x811c9dc5];
  for (let i = 0, j = owner.length - 1; j >= 0; i++, j--) {
    forth = Math.imul(forth ^ owner.charCodeAt(i), 0x01000193);
    back = Math.imul(back ^ owner.charCodeAt(j), 0x01000193);
  }
  const key = new DataView(new ArrayBuffer(8));
  key.setUint32(0, mixed(forth ^ mixed(back)), true);
  key.setUint32(4, (mixed(back) | 2) >>> 0, true);
  return new Uint8Array(key.buffer);
}

/** Lets every bit of the number move its low bits, which choose the slot. */
function mixed(number: number): number {
  let n = number ^ (number >>> 16);
  n = Math.imul(n, 0x45d9f3b);
  return (n ^ (n >>> 15)) >>> 0;
}

const nothingSeen = { first: 0, bytes: new Uint8Array(0) };

const freed = new Uint8Array(slotBytes);
freed[4] = 1;

/** 32 bits, little endian. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function isUnused(slot: Uint8Array): boolean {
  return word(slot, 4) === 0;
}

function isFreed(slot: Uint8Array): boolean {
  return word(slot, 4) === 1;
}

function holds(slot: Uint8Array, key: Uint8Array): boolean {
  return word(slot, 0) === word(key, 0) && word(slot, 4) === word(key, 4);
}

const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function entry(owner: string, name: string): Uint8Array {
  const ip = parseIp(name);
  if (ip === undefined) throw new Error(`${name} is no address`);
  const bytes = new Uint8Array(slotBytes);
  bytes.set(hash(owner));
  if (ip.family === 4) bytes.set(mapped, 8);
  bytes.set(ip.bytes, slotBytes - ip.bytes.length);
  return bytes;
}

function nameIn(slot: Uint8Array): string {
  const bytes = slot.subarray(8, slotBytes);
  const isIpv4 = mapped.every((byte, i) => bytes[i] === byte);
  const ip: Ip = isIpv4 ? { family: 4, bytes: bytes.subarray(12) } : { family: 6, bytes };
  return formatIp(ip);
}

function nanoseconds(ms: number): bigint {
  return BigInt(ms) * 1_000_000n;
}
