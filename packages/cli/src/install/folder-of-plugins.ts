/** The folder that is installed into: who works in it, and what an install that was killed left there. */
import { removeFile } from '@cni-ts/libc/file';
import { tryLockFolder } from '@cni-ts/libc/file-lock';
import { statLink, tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import { sleep } from '@cni-ts/libc/process';
import { pluginFolder } from '../settings.ts';
import { sweepKept } from './kept.ts';

/** Where the host's folder is mounted in a container that installs, by custom. */
const mounted = `/host${pluginFolder}`;

/** Where runtimes look; of the host, where that is mounted. */
export function usualFolder(): string {
  return tryStat(mounted)?.isFolder ? mounted : pluginFolder;
}

/** What files begin with that are not in their place yet. No plugin is called so. */
export const temporary = '.cnitool-install-';

/** Removes what an install that was killed left behind. Ten minutes are longer than any takes, also one of a release that
 *  did not care to be alone. */
export function sweep(folder: string): void {
  sweepKept(folder);
  for (const name of listFolder(folder)) {
    const path = `${folder}/${name}`;
    const written = name.startsWith(temporary) ? statLink(path)?.mtimeNs : undefined;
    if (written !== undefined && Date.now() - Number(written / 1_000_000n) > 600_000) removeFile(path);
  }
}

const patienceMs = 60_000;
const pauseMicroseconds = 50_000;

/** Calls `work` while no other install or uninstall works in the folder. Throws where one does for longer than a minute. */
export function alone<T>(folder: string, work: () => T): T {
  const until = performance.now() + patienceMs;
  for (;;) {
    const lock = tryLockFolder(folder);
    if (lock !== undefined) {
      try {
        return work();
      } finally {
        lock.unlock();
      }
    }
    if (performance.now() > until) {
      throw new Error(
        `${folder}: another cnitool has installed into it for a minute; look for it, and end it`,
      );
    }
    sleep(pauseMicroseconds);
  }
}
