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
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  statfsSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { formatIp, type Ip, parseIp } from '@cni-ts/address/ip';

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
  #seen = { first: 0, bytes: Buffer.alloc(0) };

  private constructor(directory: string, path: string) {
    this.#directory = directory;
    this.#path = path;
  }

  /** The index of an existing directory, in a folder only this user can write to; undefined where there can be none.
   *  Named by device and inode: one directory has one index under whatever path it is reached. */
  static open(folder: string, directory: string): ReservationIndex | undefined {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const place = lstatSync(folder);
      if (!place.isDirectory() || place.uid !== process.getuid?.() || (place.mode & 0o077) !== 0)
        return undefined;
      const { dev, ino, mtimeNs, ctimeNs } = statSync(directory, { bigint: true });
      const index = new ReservationIndex(directory, join(folder, `${dev.toString(16)}-${ino.toString(16)}`));
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
      for (const { bytes } of this.#chain(key)) if (holds(bytes, key)) names.push(nameIn(bytes));
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
      const key = hash(owner);
      let place: number | undefined;
      for (const { slot, bytes } of this.#chain(key)) {
        if (isFreed(bytes)) place ??= slot;
      }
      if (place === undefined) {
        place = this.#endOfChain;
        this.#used++;
      }
      this.#writeSlot(place, entry(key, name));
    });
  }

  remove(owner: string, name: string): void {
    if (!this.#trusted) return;
    this.#attempt(() => {
      const wanted = entry(hash(owner), name);
      for (const { slot, bytes } of this.#chain(hash(owner))) {
        if (bytes.equals(wanted)) {
          this.#writeSlot(slot, freed);
          return;
        }
      }
    });
  }

  /** Forgets everything and takes what a walk through the directory found: owners by name. */
  rebuild(reservations: ReadonlyMap<string, string>): void {
    this.#trusted = true;
    this.#state = writing;
    this.#attempt(() => {
      if (remote.has(statfsSync(this.#directory).type)) {
        this.#trusted = false;
        return;
      }
      const entries = [...reservations].map(([name, owner]) => entry(hash(owner), name));
      this.#writeTable(entries);
    });
  }

  /** Makes the index worth trusting again after changes, and closes it. */
  close(): void {
    this.#attempt(() => {
      if (this.#trusted && this.#state === writing) this.#settle();
    });
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #load(mtimeNs: bigint, ctimeNs: bigint): void {
    this.#file = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW, 0o600);
    const header = Buffer.alloc(headerBytes);
    if (readSync(this.#file, header, 0, headerBytes, 0) !== headerBytes) return;
    this.#slots = header.readUInt32LE(8);
    this.#used = header.readUInt32LE(12);
    this.#trusted =
      header.readUInt32LE(0) === magic &&
      header.readUInt32LE(4) === settled &&
      header.readBigInt64LE(16) === mtimeNs &&
      header.readBigInt64LE(24) === ctimeNs &&
      fstatSync(this.#file).size === headerBytes + this.#slots * slotBytes;
  }

  #settle(): void {
    const now = Date.now();
    let { mtimeNs, ctimeNs, atimeMs } = statSync(this.#directory, { bigint: true });
    if (mtimeNs > nanoseconds(now - backdatedMs)) {
      utimesSync(this.#directory, Number(atimeMs) / 1000, (now - backdatedMs) / 1000);
      ({ mtimeNs, ctimeNs } = statSync(this.#directory, { bigint: true }));
    }
    // Not ours: somebody without the lock was here this very moment.
    if (mtimeNs > nanoseconds(now - coarsestMs)) return;
    this.#state = settled;
    this.#writeHeader(mtimeNs, ctimeNs);
  }

  #writeHeader(mtimeNs: bigint, ctimeNs: bigint): void {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(magic, 0);
    header.writeUInt32LE(this.#state, 4);
    header.writeUInt32LE(this.#slots, 8);
    header.writeUInt32LE(this.#used, 12);
    header.writeBigInt64LE(mtimeNs, 16);
    header.writeBigInt64LE(ctimeNs, 24);
    writeSync(this.#file!, header, 0, headerBytes, 0);
  }

  /** Where the chain walked last ended: a slot never used. */
  #endOfChain = 0;

  /** The slots an owner's entries can be in: from the one its hash names to the first never used. */
  *#chain(key: Buffer): Generator<{ slot: number; bytes: Buffer }, void, void> {
    let slot = key.readUInt32LE(0) & (this.#slots - 1);
    for (let walked = 0; walked < this.#slots; walked++, slot = (slot + 1) & (this.#slots - 1)) {
      const bytes = this.#readSlot(slot);
      if (isUnused(bytes)) {
        this.#endOfChain = slot;
        return;
      }
      yield { slot, bytes };
    }
    throw new Error('no unused slot: not a table made here');
  }

  #readSlot(slot: number): Buffer {
    let offset = (slot - this.#seen.first) * slotBytes;
    if (offset < 0 || offset >= this.#seen.bytes.length) {
      const bytes = Buffer.alloc(Math.min(slotsPerRead, this.#slots - slot) * slotBytes);
      readSync(this.#file!, bytes, 0, bytes.length, headerBytes + slot * slotBytes);
      this.#seen = { first: slot, bytes };
      offset = 0;
    }
    return this.#seen.bytes.subarray(offset, offset + slotBytes);
  }

  #writeSlot(slot: number, bytes: Buffer): void {
    writeSync(this.#file!, bytes, 0, slotBytes, headerBytes + slot * slotBytes);
    this.#seen = { first: 0, bytes: Buffer.alloc(0) };
  }

  #grow(): void {
    const table = Buffer.alloc(this.#slots * slotBytes);
    readSync(this.#file!, table, 0, table.length, headerBytes);
    const entries: Buffer[] = [];
    for (let at = 0; at < table.length; at += slotBytes) {
      const bytes = table.subarray(at, at + slotBytes);
      if (!isUnused(bytes) && !isFreed(bytes)) entries.push(bytes);
    }
    this.#writeTable(entries);
  }

  /** At most half full, so that chains stay short. */
  #writeTable(entries: readonly Buffer[]): void {
    let slots = smallest;
    while (slots < entries.length * 2) slots *= 2;
    const file = Buffer.alloc(headerBytes + slots * slotBytes);
    for (const bytes of entries) {
      let slot = bytes.readUInt32LE(0) & (slots - 1);
      while (!isUnused(file.subarray(headerBytes + slot * slotBytes))) slot = (slot + 1) & (slots - 1);
      bytes.copy(file, headerBytes + slot * slotBytes);
    }
    if (this.#file !== undefined) closeSync(this.#file);
    const { O_RDWR, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
    this.#file = undefined; // stays so when the file cannot be opened
    this.#file = openSync(this.#path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    this.#slots = slots;
    this.#used = entries.length;
    this.#seen = { first: 0, bytes: Buffer.alloc(0) };
    writeSync(this.#file, file, 0, file.length, 0);
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
function hash(owner: string): Buffer {
  let [forth, back] = [0x811c9dc5, 0x811c9dc5];
  for (let i = 0, j = owner.length - 1; j >= 0; i++, j--) {
    forth = Math.imul(forth ^ owner.charCodeAt(i), 0x01000193);
    back = Math.imul(back ^ owner.charCodeAt(j), 0x01000193);
  }
  const key = Buffer.alloc(8);
  key.writeUInt32LE(mixed(forth ^ mixed(back)), 0);
  key.writeUInt32LE((mixed(back) | 2) >>> 0, 4);
  return key;
}

/** Lets every bit of the number move its low bits, which choose the slot. */
function mixed(number: number): number {
  let n = number ^ (number >>> 16);
  n = Math.imul(n, 0x45d9f3b);
  return (n ^ (n >>> 15)) >>> 0;
}

const freed = Buffer.alloc(slotBytes);
freed.writeUInt32LE(1, 4);

function isUnused(slot: Buffer): boolean {
  return slot.readUInt32LE(4) === 0;
}

function isFreed(slot: Buffer): boolean {
  return slot.readUInt32LE(4) === 1;
}

function holds(slot: Buffer, key: Buffer): boolean {
  return slot.readUInt32LE(0) === key.readUInt32LE(0) && slot.readUInt32LE(4) === key.readUInt32LE(4);
}

const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

function entry(key: Buffer, name: string): Buffer {
  const ip = parseIp(name);
  if (ip === undefined) throw new Error(`${name} is no address`);
  return Buffer.from([...key, ...(ip.family === 4 ? mapped : []), ...ip.bytes]);
}

function nameIn(slot: Buffer): string {
  const bytes = slot.subarray(8, slotBytes);
  const isIpv4 = mapped.every((byte, i) => bytes[i] === byte);
  const ip: Ip = isIpv4 ? { family: 4, bytes: bytes.subarray(12) } : { family: 6, bytes };
  return formatIp(ip);
}

function nanoseconds(ms: number): bigint {
  return BigInt(ms) * 1_000_000n;
}
