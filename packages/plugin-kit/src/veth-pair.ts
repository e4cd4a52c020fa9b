import type { Cidr } from '@cni-ts/address/cidr';
import { isGlobalUnicast } from '@cni-ts/address/ip';
import { parseMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { createLink, deleteLink, findLink, getLink, type Link, setUp } from '@cni-ts/rtnetlink/link';
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from './failing.ts';
import { findNamespace, type Namespace, ownNamespace } from './namespace.ts';
import { trySysctl } from './set-sysctl.ts';

/** Two links joined back to back: one in the container, one on the host. */
export interface VethPair {
  readonly containerName: string;
  readonly hostName: string;
  /** Of both ends; the kernel's default when undefined. */
  readonly mtu?: number | undefined;
  /** Of the container's end, as text; random when undefined. */
  readonly mac?: string | undefined;
  /** Nobody else is on the wire, nor will be: the host's end asks nobody whether its IPv6 addresses are free. Until
   *  that were answered (a second or two) it had no link-local address, and without one the kernel looks for no
   *  neighbour on behalf of others: what the host forwards would not get to the container. */
  readonly alone?: boolean | undefined;
  /** The host's end becomes a port of a bridge, and is set up when it does. */
  readonly port?: boolean | undefined;
}

/**
 * Creates the pair from inside the container's namespace with the other end born on the host: no link is moved,
 * which would cost twenty times as much. The host's end is up afterwards unless it becomes a port, and has no transmit
 * queue of its own (packets queue once, at the container's end). The container's end is still down.
 *
 * Throws when either name is taken, for a MAC that is no unicast 6-byte address, for an MTU out of range.
 */
export function createVethPair(
  pair: VethPair,
  host: Namespace,
  container: Namespace,
  undo: Undo,
): { host: Link; container: Link } {
  const { containerName, hostName } = pair;
  const mac = pair.mac === undefined ? undefined : parseMac(pair.mac);
  if (pair.mac !== undefined && !mac) {
    throw new Error(`failed to make veth pair: address ${pair.mac}: invalid MAC address`);
  }
  try {
    createLink(container.route, {
      name: containerName,
      mac,
      mtu: pair.mtu,
      info: {
        kind: 'veth',
        data: { peer: { ifname: hostName, mtu: pair.mtu, txQueueLength: 0, netnsFd: host.netns.fd } },
      },
    });
  } catch (error) {
    throw explain(error, pair, host, container);
  }
  undo.add(`veth ${hostName}`, () => void deleteLink(container.route, containerName));
  const hostLink = getLink(host.route, hostName);
  if (pair.alone) trySysctl(`net/ipv6/conf/${hostName}/accept_dad`, '0');
  if (!pair.port) setUp(host.route, hostLink);
  trySysctl(`net/ipv6/conf/${hostName}/accept_ra`, '0');
  return { host: hostLink, container: getLink(container.route, containerName) };
}

/** The container's end of a pair as DEL finds it. */
export interface ContainerEnd {
  readonly inside: Namespace;
  readonly link: Link;
  /** Without those that every link has by itself. */
  readonly addresses: readonly Cidr[];
}

/** Looks for the container's end by its name; undefined when the link or its namespace is gone, or not told. */
export function findContainerEnd(request: Request<unknown>): ContainerEnd | undefined {
  const inside = findNamespace(request);
  const link = inside && findLink(inside.route, request.ifname);
  if (!link) return undefined;
  const addresses = listAddresses(inside.route, link).map(({ cidr }) => cidr);
  return { inside, link, addresses: addresses.filter(({ ip }) => isGlobalUnicast(ip)) };
}

/**
 * Deletes the pair from whichever end there is: the container's, else the host's, which is left when the container's
 * namespace could not be told or the link in it was renamed. Nothing there is fine.
 *
 * The kernel lets the call wait until nobody can be using the links any more (20 ms). What it clears away meanwhile
 * need not be waited for again: remove rules before, not after.
 */
export function deleteVethPair(
  request: Request<unknown>,
  end: ContainerEnd | undefined,
  hostName: string,
): void {
  if (end) failing(`failed to delete "${request.ifname}"`, () => deleteLink(end.inside.route, end.link));
  const host = ownNamespace(request);
  const left = findLink(host.route, hostName);
  if (left?.kind === 'veth') failing(`failed to delete "${hostName}"`, () => deleteLink(host.route, left));
}

function explain(error: unknown, pair: VethPair, host: Namespace, container: Namespace): Error {
  const { containerName, hostName } = pair;
  if (errnoOf(error) === 'EEXIST') {
    if (findLink(container.route, containerName)) {
      const text = `container veth name ("${containerName}") peer provided ("${hostName}") already exists`;
      return new Error(text, { cause: error });
    }
    if (findLink(host.route, hostName)) {
      return new Error(
        `failed to make veth pair: the host still has the link "${hostName}" of an earlier ADD for this container ` +
          'and interface; run DEL for it first',
        { cause: error },
      );
    }
  }
  return new Error(`failed to make veth pair: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
