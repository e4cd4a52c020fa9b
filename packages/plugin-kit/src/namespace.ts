import { Netns, NetnsError } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import type { Request } from '@cni-ts/skeleton/plugin';

/** A network namespace to work on: held open, with a socket to its links, addresses and routes. */
export interface Namespace {
  readonly netns: Netns;
  readonly route: Netlink;
}

/** The call a namespace is opened for: it is closed when that is over, for its undo may still need it. */
type Owner = Pick<Request<unknown>, 'onEnd'>;

/** The plugin's own namespace, which the runtime makes the host's. */
export function ownNamespace(owner: Owner): Namespace {
  // Where the thread is already there is nothing to enter.
  return held(owner, Netns.current(), Netlink.open('route'));
}

/** The rules of the plugin's own namespace. */
export function ownNetfilter(owner: Owner): Netlink {
  const netfilter = Netlink.open('netfilter');
  owner.onEnd(() => netfilter.closeBehind(asLongAsRulesAreFreed));
  return netfilter;
}

/**
 * Closing a netfilter socket waits until the kernel has freed what was removed last, up to 15 ms, and keeps others from
 * changing rules meanwhile (milliseconds).
 */
const asLongAsRulesAreFreed = 60;

/** The container's namespace. Throws `failed to open netns "<path>": …`. */
export function openNamespace(owner: Owner, path: string): Namespace {
  return held(owner, openNetns(path));
}

function held(owner: Owner, netns: Netns, route = Netlink.open('route', netns)): Namespace {
  owner.onEnd(() => netns.close());
  owner.onEnd(() => route.close());
  return { netns, route };
}

/** The container's namespace for DEL: undefined when the path is empty or nothing is there any more. */
export function findNamespace(owner: Owner, path: string): Namespace | undefined {
  if (path === '') return undefined;
  try {
    return openNamespace(owner, path);
  } catch (error) {
    if (error instanceof Error && error.cause instanceof NetnsError && error.cause.gone) return undefined;
    throw error;
  }
}

function openNetns(path: string): Netns {
  try {
    return Netns.open(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`failed to open netns "${path}": ${why}`, { cause: error });
  }
}
