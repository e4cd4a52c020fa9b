/** A node as it is after its installation, for as long as this process lives. */
import { tryStat } from '@cni-ts/libc/file-status';
import { mount, unshareMounts } from '@cni-ts/libc/mount';
import { Netns } from '@cni-ts/libc/netns';
import type { NetworkList } from '@cni-ts/libcni/network-list';
import { defaultCacheDir } from '@cni-ts/spec/cache-dir';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';

/**
 * Moves this process into a network namespace that has nothing in it, and hides what plugins keep on the disk behind empty
 * folders that nobody else sees. There is no way back. Throws where the process may not.
 */
export function leaveForEmptyNode(list: NetworkList): void {
  try {
    Netns.unshareThread();
    unshareMounts();
    for (const folder of foldersOf(list)) if (tryStat(folder)?.isFolder) mount('tmpfs', folder, 'tmpfs', 0);
  } catch (error) {
    const what = `--empty needs a network namespace and mounts of its own: ${errorText(error)}`;
    throw new CniError(ErrorCode.internal, what, 'run it as root', { cause: error });
  }
}

/** Where plugins keep what they remember: the usual place, and what the configuration names. */
function foldersOf({ plugins }: NetworkList): Set<string> {
  const folders = new Set([defaultCacheDir]);
  for (const { json } of plugins) {
    const { dataDir, ipam } = json;
    const ofIpam = typeof ipam === 'object' && ipam !== null && 'dataDir' in ipam ? ipam.dataDir : undefined;
    for (const one of [dataDir, ofIpam]) if (typeof one === 'string' && one.startsWith('/')) folders.add(one);
  }
  return folders;
}
