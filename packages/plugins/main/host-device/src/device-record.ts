/**
 * What a device was like on the host before it went into a container, and whose it is meanwhile: a file for each device,
 * named after it and the host's namespace. Its name alone is also the device's alias in the container, as the reference
 * has it, so that either can take home what the other has moved. The file tells the rest, and the container cannot change
 * it.
 */

import { openRegular, removeFile, replaceRegular, unfinished } from '@cni-ts/libc/file';
import { lockFile } from '@cni-ts/libc/file-lock';
import { tryStat } from '@cni-ts/libc/file-status';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import type { NamespaceId } from '@cni-ts/libc/netns';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { readRecordFile } from '@cni-ts/skeleton/record-file';
import { messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';

export interface DeviceRecord extends Owner {
  /** The container's namespace: its path, and which it is. */
  readonly netns: string;
  readonly netnsId: string;
  /** On the host. */
  readonly name: string;
  readonly alias: string;
  readonly mac: string;
  readonly mtu: number;
  readonly txQueueLength: number;
  /** IFF_* */
  readonly flags: number;
  /** By which it is known again whatever becomes of name and alias; '' for plain hardware, which has a MAC of its own. */
  readonly kind: string;
  readonly permanentMac: string;
}

const blank: DeviceRecord = {
  network: '',
  containerId: '',
  ifname: '',
  netns: '',
  netnsId: '',
  name: '',
  alias: '',
  mac: '',
  mtu: 0,
  txQueueLength: 0,
  flags: 0,
  kind: '',
  permanentMac: '',
};

export function namespaceText({ dev, ino }: NamespaceId): string {
  return `${dev}:${ino}`;
}

export function isOf(record: Owner, { network, containerId, ifname }: Owner): boolean {
  return record.network === network && record.containerId === containerId && record.ifname === ifname;
}

/** The records of one host in one folder. */
export class DeviceRecords {
  readonly #folder: string;
  readonly #suffix: string;
  readonly #log: (line: string) => void;

  /** What cannot be understood is told to `log`, and is as if it were not there: the device's alias tells its name, too. */
  constructor(folder: string, host: NamespaceId, log: (line: string) => void) {
    this.#folder = folder;
    this.#log = log;
    this.#suffix = `@${host.ino}.json`;
  }

  /** Runs work that looks first and changes then, while no other call does. Without a folder there is no record. */
  locked<T>(work: () => T): T {
    const lock = tryStat(this.#folder) && lockFile(`${this.#folder}/lock`, 0o600, openRegular);
    try {
      return work();
    } finally {
      lock?.unlock();
    }
  }

  makeFolder(): void {
    failing('failed to create the folder of records (dataDir)', () => makeFolder(this.#folder, 0o700));
  }

  #path(name: string): string {
    return `${this.#folder}/${name}${this.#suffix}`;
  }

  /** Written as a whole or not at all. */
  write(record: DeviceRecord): void {
    const path = this.#path(record.name);
    failing(`failed to record the device "${record.name}"`, () =>
      replaceRegular(path, JSON.stringify(record, undefined, 1), 0o600),
    );
  }

  /** Of the device of that name; undefined where there is none. */
  read(name: string): DeviceRecord | undefined {
    return name === '' || name.includes('/') ? undefined : this.#read(this.#path(name));
  }

  #read(path: string): DeviceRecord | undefined {
    try {
      return readRecord(path);
    } catch (error) {
      this.#log(`host-device: ${messageOf(error)}; this record is not used`);
      return undefined;
    }
  }

  remove(record: DeviceRecord): void {
    const path = this.#path(record.name);
    const found = this.#read(path);
    removeFile(path + unfinished);
    // Somebody else may have got the device meanwhile.
    if (found && isOf(found, record)) removeFile(path);
  }

  /** Takes away what a call that was killed had not finished writing. Only while locked. */
  tidy(): void {
    for (const name of namesIn(this.#folder))
      if (name.endsWith(this.#suffix + unfinished)) removeFile(`${this.#folder}/${name}`);
  }

  /** All of this host. */
  all(): DeviceRecord[] {
    const found: DeviceRecord[] = [];
    for (const name of namesIn(this.#folder)) {
      const record = name.endsWith(this.#suffix) ? this.#read(`${this.#folder}/${name}`) : undefined;
      if (record) found.push(record);
    }
    return found;
  }
}

function readRecord(path: string): DeviceRecord | undefined {
  const json = readRecordFile(path);
  if (json === undefined) return undefined;
  const record: Record<string, unknown> = { ...blank, ...json };
  for (const [key, value] of Object.entries(blank)) {
    if (typeof record[key] !== typeof value) throw new Error(`${path}: ${key} has an impossible value`);
  }
  return record as unknown as DeviceRecord; // reason: each member was compared with the type it has in `blank`
}
