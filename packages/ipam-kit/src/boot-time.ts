/** When this host was booted, by its own clock: what is older is from another life of the host. */
import { readText } from '@cni-ts/libc/file';
import { fileSystemOf, statFile, statLink } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';

/** include/uapi/linux/magic.h */
const TMPFS_MAGIC = 0x01021994;
/** A clock that was a little wrong at boot is set right soon after. */
const slackNs = 10_000_000_000n;

/**
 * A time, in nanoseconds since 1970, that is certainly not after the boot; undefined where nobody can tell.
 *
 * Now less /proc/uptime is the boot's time only as long as the clock was never set. One that began far in the past, or
 * a virtual machine that was put to sleep and woken, would have us take what was written since the boot for older. So
 * the /run of this boot, whose files carry the times of the clock as it was, must agree: the earlier of both counts.
 */
export function bootTime(run = '/run'): bigint | undefined {
  try {
    return earliestBoot(run);
  } catch {
    return undefined; // no /proc, no /run: then everything counts as of this boot
  }
}

function earliestBoot(run: string): bigint | undefined {
  const uptime = Number(readText('/proc/uptime').split(' ')[0]);
  if (!Number.isFinite(uptime)) return undefined;
  const byClock = BigInt(Math.floor(Date.now() - uptime * 1000)) * 1_000_000n;
  const byFiles = oldestOf(run);
  return (byFiles !== undefined && byFiles < byClock ? byFiles : byClock) - slackNs;
}

/** When a file system in memory was made, or else the least recent change to anything at its top. */
function oldestOf(folder: string): bigint | undefined {
  if (fileSystemOf(folder) !== TMPFS_MAGIC) return undefined;
  const { btimeNs, ctimeNs } = statFile(folder);
  if (btimeNs !== undefined) return btimeNs;
  let oldest = ctimeNs;
  for (const name of listFolder(folder)) {
    const entry = statLink(`${folder}/${name}`);
    if (entry && entry.ctimeNs < oldest) oldest = entry.ctimeNs;
  }
  return oldest;
}
