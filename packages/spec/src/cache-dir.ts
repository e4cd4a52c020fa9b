/** Where runtimes remember attachments (CNI's libcni; containerd, CRI-O and podman use it as it is). */
export const defaultCacheDir = '/var/lib/cni';

/** What CNI_CACHE_DIR says, ours alone; an empty one counts as absent. */
export function cacheDir({ CNI_CACHE_DIR }: Readonly<Record<string, string | undefined>>): string {
  return CNI_CACHE_DIR || defaultCacheDir;
}
