/** A network's folder of reservations, as the agent looks at it: what is used in a block, what rests, and the lock under
 *  which no ADD takes an address. */
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { type Block, isInside } from '@cni-ts/cluster/block';
import { hasRested, parseResting, restingFile } from '@cni-ts/cluster/resting';
import { openRegular, readRegular } from '@cni-ts/libc/file';
import { tryLockFile } from '@cni-ts/libc/file-lock';
import { makeFolder, namesIn } from '@cni-ts/libc/folder';
import { isMissing } from '@cni-ts/libc/syscall-error';

/** One look at the folder. */
export interface FolderView {
  /** Addresses that are reserved, and their number. */
  readonly used: number;
  usedIn(block: Block): number;
  /** Containers with reservations in it. */
  holdersIn(block: Block): string[];
  /** Whether an address of the block was freed less than the cooldown ago, and how many. */
  restsIn(block: Block): boolean;
  restingIn(block: Block): number;
}

/** `now`: seconds since 1970. */
export function lookInto(folder: string, cooldown: number, now = Date.now() / 1000): FolderView {
  const used = namesIn(folder).flatMap((name) => {
    const ip = parseIp(name);
    return ip && formatIp(ip) === name ? ip : [];
  });
  const resting = parseResting(restingText(folder))
    .filter(({ since }) => !hasRested(since, cooldown, now))
    .flatMap(({ name }) => parseIp(name) ?? []);
  const inside = (block: Block) => (ip: (typeof used)[number]) =>
    isInside(block, { first: ip, length: ip.bytes.length * 8 });
  return {
    used: used.length,
    holdersIn: (block) => used.filter(inside(block)).map((ip) => holderOf(`${folder}/${formatIp(ip)}`)),
    usedIn: (block) => used.filter(inside(block)).length,
    restsIn: (block) => resting.some(inside(block)),
    restingIn: (block) => resting.filter(inside(block)).length,
  };
}

function holderOf(path: string): string {
  try {
    return readRegular(path).trim().split('\r\n').join(' ');
  } catch {
    return path; // gone meanwhile, or no reservation: the path tells more than nothing
  }
}

function restingText(folder: string): string {
  try {
    return readRegular(`${folder}/${restingFile}`);
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}

/** Runs `work` while no plugin changes reservations; false where one does just now. */
export function withFolderLock(folder: string, work: () => void): boolean {
  makeFolder(folder, 0o755);
  const lock = tryLockFile(`${folder}/lock`, 0o750, openRegular);
  if (!lock) return false;
  try {
    work();
  } finally {
    lock.unlock();
  }
  return true;
}
