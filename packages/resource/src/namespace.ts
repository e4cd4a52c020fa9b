import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { findContainerNetns, openContainerNetns } from '@cni-ts/skeleton/own-netns';
import type { Request } from '@cni-ts/skeleton/plugin';
import { CniError, messageOf } from '@cni-ts/spec/cni-error';

/** A network namespace to work on: held open, with a socket to its links, addresses and routes. */
export interface Namespace {
  readonly netns: Netns;
  readonly route: Netlink;
}

/** The call a namespace is opened for: it is closed when that is over, for its undo may still need it. */
type Owner = Pick<Request<unknown>, 'onEnd'>;
/** The call that is about the container's namespace. */
type Inside = Owner & Pick<Request<unknown>, 'netns' | 'netnsOverride' | 'ownNetns'>;

const namespaces = new WeakMap<Owner, Namespace>();
const netfilters = new WeakMap<Owner, Netlink>();

/** The plugin's own namespace, which the runtime makes the host's; opened once for a call. */
export function ownNamespace(owner: Owner): Namespace {
  const known = namespaces.get(owner);
  if (known) return known;
  // Where the thread is already there is nothing to enter.
  const opened = held(owner, Netns.current(), Netlink.open('route'));
  namespaces.set(owner, opened);
  return opened;
}

/** The rules of the plugin's own namespace; opened once for a call. */
export function ownNetfilter(owner: Owner): Netlink {
  const known = netfilters.get(owner);
  if (known) return known;
  const netfilter = Netlink.open('netfilter');
  owner.onEnd(() => netfilter.closeBehind(asLongAsRulesAreFreed));
  netfilters.set(owner, netfilter);
  return netfilter;
}

/**
 * Closing a netfilter socket waits until the kernel has freed what was removed last, up to 15 ms, and keeps others from
 * changing rules meanwhile (milliseconds).
 */
const asLongAsRulesAreFreed = 60;

/** The container's namespace. Throws `failed to open netns "<path>": …`, and CniError 8 when it is the plugin's own. */
export function openNamespace(request: Inside): Namespace {
  return held(request, opening(request, openContainerNetns));
}

/** A namespace with nothing in it, which ends with the call. */
export function emptyNamespace(owner: Owner): Namespace {
  return held(owner, Netns.create());
}

/** Another namespace than the call is about, by its path: undefined when none is there. */
export function namespaceAt(path: string, { ownNetns, onEnd }: Inside): Namespace | undefined {
  return findNamespace({ netns: path, netnsOverride: false, ownNetns, onEnd });
}

function held(owner: Owner, netns: Netns, route = Netlink.open('route', netns)): Namespace {
  owner.onEnd(() => netns.close());
  owner.onEnd(() => route.close());
  return { netns, route };
}

/** The container's namespace for DEL: undefined when the path is empty or leads to no namespace, or to the plugin's own. */
export function findNamespace(request: Inside): Namespace | undefined {
  const found = opening(request, findContainerNetns);
  return found && held(request, found);
}

function opening<T>(request: Inside, open: (place: Inside) => T): T {
  try {
    return open(request);
  } catch (error) {
    if (error instanceof CniError) throw error;
    throw new Error(`failed to open netns "${request.netns}": ${messageOf(error)}`, { cause: error });
  }
}
