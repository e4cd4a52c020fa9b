import { type NamespaceId, Netns, NetnsError } from '@cni-ts/libc/netns';
import { CniError, ErrorCode, errorText } from '@cni-ts/spec/cni-error';
import type { RawRequest } from './plugin.ts';

/** The network namespace of the thread that asks. */
function ownId(): NamespaceId {
  return Netns.here().id;
}

/** How CNI_NETNS is opened: where it is, whether it may be the plugin's own, and which that is. */
type Place = Pick<RawRequest, 'netns' | 'netnsOverride' | 'ownNetns'>;

/**
 * Opens CNI_NETNS. It must not be the plugin's own namespace: a plugin that went on would give the host's interfaces to
 * a container. What is compared is what was opened, since a path may lead elsewhere the next time. Throws NetnsError,
 * and CniError 8 for the plugin's own namespace or when that cannot be told.
 */
export function openContainerNetns(place: Place): Netns {
  const opened = unlessOwn(Netns.open(place.netns), place);
  if (opened) return opened;
  throw new CniError(
    ErrorCode.invalidNetns,
    `plugin's netns and netns from CNI_NETNS should not be the same`,
    `nothing was done; CNI_NETNS is ${place.netns}; CNI_NETNS_OVERRIDE=1 lifts this check`,
  );
}

/**
 * Opens CNI_NETNS for DEL: undefined when CNI_NETNS is empty or no namespace is there any more. One that is the plugin's own is
 * gone too: after a reboot the process ID in the path may be that of a process of the host.
 */
export function findContainerNetns(place: Place): Netns | undefined {
  if (place.netns === '') return undefined;
  let opened: Netns;
  try {
    opened = Netns.open(place.netns);
  } catch (error) {
    if (error instanceof NetnsError && error.gone) return undefined;
    throw error;
  }
  return unlessOwn(opened, place);
}

/** The namespace, or undefined, and it is closed, where it is the plugin's own and that is not allowed. */
function unlessOwn(opened: Netns, place: Place): Netns | undefined {
  let kept: Netns | undefined;
  try {
    if (place.netnsOverride || !isOwn(opened, place)) kept = opened;
    return kept;
  } finally {
    if (!kept) opened.close();
  }
}

function isOwn({ id }: Netns, { ownNetns = ownId }: Place): boolean {
  const mine = known(ownNetns);
  return mine.dev === id.dev && mine.ino === id.ino;
}

function known(ownNetns: () => NamespaceId | undefined): NamespaceId {
  let why = '/proc/thread-self/ns/net cannot be looked at';
  try {
    const mine = ownNetns();
    if (mine) return mine;
  } catch (error) {
    why += `: ${errorText(error)}`;
  }
  throw new CniError(ErrorCode.invalidNetns, "get plugin's netns failed", why);
}
