/** A network's folder of reservations, as the agent looks at it: what is used in a block, what rests, and the lock under
 *  which no ADD takes an address. */
import { readdirSync } from 'node:fs';
import { formatIp, parseIp } from '@cni-ts/address/ip';
import { addressKey, type Block, lastOfBlock } from '@cni-ts/cluster/block';
import { hasRested, parseResting, restingFile } from '@cni-ts/cluster/resting';
import { openRegular, readRegular } from '@cni-ts/libc/file';
import { tryLockFile } from '@cni-ts/libc/file-lock';
import { makeFolder } from '@cni-ts/libc/folder';
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

/** Looks again and again into one folder: of a name that was there before it is known which address it is. */
export class FolderReader {
  /** The key of each name, by which addresses are in order; undefined for what is no reservation. */
  #known = new Map<string, string | undefined>();

  /** `cooldown`: in seconds; `now`: in seconds since 1970. */
  look(folder: string, cooldown: number, now = Date.now() / 1000): FolderView {
    const known = new Map<string, string | undefined>();
    const names = new Map<string, string>();
    for (const name of namesIn(folder)) {
      const key = this.#known.has(name) ? this.#known.get(name) : keyOfName(name);
      known.set(name, key);
      if (key !== undefined) names.set(key, name);
    }
    this.#known = known;
    const used = [...names.keys()].sort();
    const resting = parseResting(restingText(folder))
      .filter(({ since }) => !hasRested(since, cooldown, now))
      .flatMap(({ name }) => keyOfName(name) ?? [])
      .sort();
    return {
      used: used.length,
      // reason: each key is a name's
      holdersIn: (block) => within(used, block).map((key) => holderOf(`${folder}/${names.get(key)!}`)),
      usedIn: (block) => within(used, block).length,
      restingIn: (block) => within(resting, block).length,
    };
  }
}

/** undefined for what is no address as plugins write it. */
function keyOfName(name: string): string | undefined {
  const ip = parseIp(name);
  return ip && formatIp(ip) === name ? addressKey(ip) : undefined;
}

/** Node's own: an agent looks into its folders all the time. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Those of the block. There may be thousands of both (an import makes a block of each address), so they are in order. */
function within(keys: readonly string[], block: Block): readonly string[] {
  const [first, last] = [addressKey(block.first), addressKey(lastOfBlock(block))];
  const from = firstAt(keys, (key) => key >= first);
  return keys.slice(
    from,
    firstAt(keys, (key) => key > last),
  );
}

/** Where those begin that are so, as all after the first are. */
function firstAt(keys: readonly string[], isSo: (key: string) => boolean): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isSo(keys[middle]!)) high = middle;
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
