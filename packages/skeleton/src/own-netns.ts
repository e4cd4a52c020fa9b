import { tryStat } from '@cni-ts/libc/file';
import { type NamespaceId, Netns } from '@cni-ts/libc/netns';
import { CniError, ErrorCode } from './cni-error.ts';

/** The network namespace of the thread that asks. */
function ownId(): NamespaceId | undefined {
  try {
    return Netns.here().id;
  } catch {
    return undefined; // reason: refused below, in the reference's words
  }
}

/** Throws CniError 8 when CNI_NETNS is the plugin's own namespace: a plugin that went on would give the host's
 *  interfaces to a container. A path that cannot be looked at is fine here; the plugin meets it itself. */
export function refuseOwnNetns(netns: string, ownNetns: () => NamespaceId | undefined = ownId): void {
  // Absent, not permitted, not a path: the spec lets DEL come when the namespace is gone.
  const container = netns === '' ? undefined : tryStat(netns);
  if (container === undefined) return;
  const mine = ownNetns();
  if (mine === undefined) {
    throw new CniError(
      ErrorCode.invalidNetns,
      "get plugin's netns failed",
      '/proc/thread-self/ns/net cannot be looked at',
    );
  }
  if (container.dev !== mine.dev || container.ino !== mine.ino) return;
  throw new CniError(
    ErrorCode.invalidNetns,
    `plugin's netns and netns from CNI_NETNS should not be the same`,
    `nothing was done; CNI_NETNS is ${netns}; CNI_NETNS_OVERRIDE=1 lifts this check`,
  );
}
