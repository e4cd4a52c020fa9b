/** What is remembered of attachments, for commands that only look at it. */
import { tryStat } from '@cni-ts/libc/file-status';
import { listFolder } from '@cni-ts/libc/folder';
import type { CachedAttachment } from '@cni-ts/libcni/attachment';
import type { Operations } from '@cni-ts/libcni/operations';
import { errorText } from '@cni-ts/spec/cni-error';
import { CannotLookError } from './verb.ts';

/** Of all networks. Throws CannotLookError where it may not be read. */
export function rememberedAttachments(
  runtime: Pick<Operations, 'getCachedAttachments'>,
): readonly CachedAttachment[] {
  try {
    return runtime.getCachedAttachments();
  } catch (error) {
    throw new CannotLookError(`what is remembered cannot be read, run it as root: ${errorText(error)}`);
  }
}

/** Paths of the entries that cannot be read as attachments, so that they are not among `known`. */
export function damagedEntries(cacheDir: string, known: readonly CachedAttachment[]): string[] {
  const folder = `${cacheDir}/results`;
  if (tryStat(folder) === undefined) return [];
  const names = new Set(
    known.map(({ network, containerId, ifname }) => `${network}-${containerId}-${ifname}`),
  );
  return listFolder(folder)
    .filter((name) => !name.startsWith('.') && !names.has(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}
