import { Netns, NetnsError } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';

/** A network namespace to work on: held open, with a socket to its links, addresses and routes. */
export interface Namespace {
  readonly netns: Netns;
  readonly route: Netlink;
}

/** The plugin's own namespace, which the runtime makes the host's. */
export function ownNamespace(): Namespace {
  return { netns: Netns.current(), route: Netlink.open('route') };
}

/** The container's namespace. Throws `failed to open netns "<path>": …`. */
export function openNamespace(path: string): Namespace {
  const netns = openNetns(path);
  return { netns, route: Netlink.open('route', netns) };
}

/** The container's namespace for DEL: undefined when the path is empty or nothing is there any more. */
export function findNamespace(path: string): Namespace | undefined {
  if (path === '') return undefined;
  try {
    return openNamespace(path);
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
