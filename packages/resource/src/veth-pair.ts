import type { Cidr } from '@cni-ts/address/cidr';
import { isGlobalUnicast } from '@cni-ts/address/ip';
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import {
  createLink,
  deleteLink,
  findLink,
  findLinkByIndex,
  getLink,
  IFF_UP,
  type Link,
  setUp,
} from '@cni-ts/rtnetlink/link';
import type { Request } from '@cni-ts/skeleton/plugin';
import type { Undo } from '@cni-ts/skeleton/undo';
import { messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import type { Interface } from '@cni-ts/spec/result';
import { hostLinkName } from './link-name.ts';
import { findNamespace, type Namespace } from './namespace.ts';
import { isAnothers } from './owned-links.ts';
import { recordedAddresses, recordedInterfaces } from './recorded-interfaces.ts';
import { trySysctl } from './set-sysctl.ts';

/** Two links joined back to back: one in the container, one on the host. */
export interface VethPair {
  readonly containerName: string;
  readonly hostName: string;
  /** Of both ends; the kernel's default when undefined. */
  readonly mtu?: number | undefined;
  /** Of the container's end, as text; random when undefined. */
  readonly mac?: string | undefined;
  /** Of the host's end; random when undefined. */
  readonly hostMac?: Uint8Array | undefined;
  /** Nobody else is on the wire, nor will be: the host's end asks nobody whether its IPv6 addresses are free. Until
   *  that were answered (a second or two) it had no link-local address, and without one the kernel looks for no
   *  neighbour on behalf of others: what the host forwards would not get to the container. */
  readonly alone?: boolean | undefined;
  /** The host's end becomes a port of a bridge, and is set up when it does. */
  readonly port?: boolean | undefined;
  /** Whose the host's end is (linkOwner). A port gets it when it becomes one. */
  readonly alias?: string | undefined;
  /** Of a pair that others may come to use: whether they have, so that it must stay when this ADD fails. */
  readonly inUse?: (() => boolean) | undefined;
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
  let isMade = false;
  undo.make(
    `veth ${hostName}`,
    () => {
      try {
        createLink(container.route, {
          name: containerName,
          mac,
          mtu: pair.mtu,
          info: {
            kind: 'veth',
            data: {
              peer: {
                ifname: hostName,
                address: pair.hostMac,
                mtu: pair.mtu,
                txQueueLength: 0,
                netnsFd: host.netns.fd,
              },
            },
          },
        });
      } catch (error) {
        throw explain(error, pair, host, container);
      }
    },
    () => takeBack(pair, host, isMade),
  );
  isMade = true;
  const hostLink = getLink(host.route, hostName);
  if (pair.alone) trySysctl(`net/ipv6/conf/${hostName}/accept_dad`, '0');
  if (!pair.port) setUp(host.route, hostLink, pair.alias);
  trySysctl(`net/ipv6/conf/${hostName}/accept_ra`, '0');
  return { host: hostLink, container: getLink(container.route, containerName) };
}

/**
 * Takes a pair back by the host's end, whose name is this attachment's alone. As long as the kernel has not said that it
 * made the pair, the link may be an earlier ADD's: that one is up.
 */
function takeBack({ hostName, inUse }: VethPair, host: Namespace, isMade: boolean): void {
  const link = findLink(host.route, hostName);
  if (link?.kind !== 'veth' || (!isMade && link.flags & IFF_UP)) return;
  if (!inUse?.()) deleteLink(host.route, link);
}

/** One end of a pair, and where it is: whichever is enough to delete both. */
export interface VethEnd {
  readonly at: Namespace;
  readonly link: Link;
}

/**
 * Looks for the pair of an attachment, for DEL: not for whatever has the interface's name, which may be another
 * container's, whose namespace has got the process ID in the path, or another network's. The attachment's own is
 * - the host's link of the name that we give it, wherever the other end is;
 * - one that prevResult tells, with the MAC it tells: the reference names its links at random;
 * - without prevResult, the container's link if `isTheirs` takes the host's end for one that the reference made for this
 *   network.
 * A link whose alias names another attachment is none of these.
 */
export function findVethPair(
  request: Request<unknown>,
  plugin: string,
  host: Namespace,
  isTheirs: (hostEnd: Link) => boolean,
): VethEnd | undefined {
  const { network, containerId, ifname } = request;
  const named = findLink(host.route, hostLinkName('veth', network, containerId, ifname));
  if (named?.kind === 'veth' && !isAnothers(named, request, plugin)) return { at: host, link: named };
  const recorded = recordedInterfaces(request);
  const hostEnd = recordedHostEnd(recorded, host);
  if (hostEnd) return isAnothers(hostEnd, request, plugin) ? undefined : { at: host, link: hostEnd };

  const inside = findNamespace(request);
  const link = inside && findLink(inside.route, ifname);
  if (!inside || link?.kind !== 'veth') return undefined;
  const peer = peerOf(link, host);
  if (peer && isAnothers(peer, request, plugin)) return undefined;
  const entry = recorded.findLast(({ name, sandbox }) => name === ifname && sandbox);
  if (entry) return hasMac(link, entry) ? { at: inside, link } : undefined;
  const looksTheirs = peer && !peer.attributes.ifAlias && /^veth[0-9a-f]{8}$/.test(peer.name);
  return looksTheirs && isTheirs(peer) ? { at: host, link: peer } : undefined;
}

/**
 * The container's addresses, by which DEL spares the rules of its other interfaces: those that prevResult tells, else
 * those of the pair's end in the container, without what every link has by itself. undefined where neither is known.
 */
export function vethAddresses(request: Request<unknown>, end: VethEnd | undefined): Cidr[] | undefined {
  const recorded = recordedAddresses(request);
  if (recorded || !end) return recorded;
  const inside = findNamespace(request);
  const link = inside && findLink(inside.route, request.ifname);
  if (!inside || link?.kind !== 'veth') return undefined;
  if (link.index !== end.link.lower && link.index !== end.link.index) return undefined;
  try {
    const addresses = listAddresses(inside.route, link).map(({ cidr }) => cidr);
    return addresses.filter(({ ip }) => isGlobalUnicast(ip));
  } catch (error) {
    if (errnoOf(error) === 'ENODEV') return undefined; // another DEL was quicker
    throw error;
  }
}

/** The one link of the host in a result that is a veth with its other end elsewhere. */
function recordedHostEnd(recorded: readonly Interface[], host: Namespace): Link | undefined {
  for (const entry of recorded) {
    const link = entry.sandbox ? undefined : findLink(host.route, entry.name);
    if (link?.kind === 'veth' && link.attributes.linkNetnsId !== undefined && hasMac(link, entry))
      return link;
  }
  return undefined;
}

function hasMac(link: Link, { mac }: Interface): boolean {
  const recorded = mac ? parseMac(mac) : undefined;
  return recorded !== undefined && formatMac(recorded) === formatMac(link.mac);
}

/** Indexes count per namespace: the link with that index on the host is another one if its peer is not this. */
function peerOf(inside: Link, host: Namespace): Link | undefined {
  const peer = findLinkByIndex(host.route, inside.lower);
  return peer?.kind === 'veth' && peer.lower === inside.index ? peer : undefined;
}

/**
 * Deletes the pair by one of its ends. Nothing there is fine.
 *
 * The kernel lets the call wait until nobody can be using the links any more (20 ms). What it clears away meanwhile
 * need not be waited for again: remove rules before, not after.
 */
export function deleteVethPair(end: VethEnd | undefined): void {
  if (end) failing(`failed to delete "${end.link.name}"`, () => deleteLink(end.at.route, end.link));
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
  return new Error(`failed to make veth pair: ${messageOf(error)}`, {
    cause: error,
  });
}
