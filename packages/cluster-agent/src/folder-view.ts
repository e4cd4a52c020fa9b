/** A network's folder of reservations, as the agent looks at it: what is used in a block, what rests, and the lock under
 *  which no ADD takes an address. */
import { compareIp, formatIp, type Ip, parseIp } from '@cni-ts/address/ip';
import { type Block, lastOfBlock } from '@cni-ts/cluster/block';
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
  /** How many addresses of the block were freed less than the cooldown ago. */
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
  for (const ips of [used, resting]) ips.sort(compareIp);
  return {
    used: used.length,
    holdersIn: (block) => within(used, block).map((ip) => holderOf(`${folder}/${formatIp(ip)}`)),
    usedIn: (block) => within(used, block).length,
    restingIn: (block) => within(resting, block).length,
  };
}

/** Those of the block. There may be thousands of both (an import makes a block of each address), so they are in order. */
function within(ips: readonly Ip[], block: Block): readonly Ip[] {
  const last = lastOfBlock(block);
  const from = firstAt(ips, (ip) => compareIp(ip, block.first) >= 0);
  return ips.slice(
    from,
    firstAt(ips, (ip) => compareIp(ip, last) > 0),
  );
}

/** Where those begin that are so, as all after the first are. */
function firstAt(ips: readonly Ip[], isSo: (ip: Ip) => boolean): number {
  let [low, high] = [0, ips.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isSo(ips[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
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
