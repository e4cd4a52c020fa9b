import { parseMac } from '@cni-ts/address/mac';
import { sleep } from '@cni-ts/libc/process';
import { errnoOf, SyscallError } from '@cni-ts/libc/syscall-error';
import { createLink, deleteLink, findLink, getLink, IFF_UP, type Link, setUp } from '@cni-ts/rtnetlink/link';
import type { Undo } from '@cni-ts/skeleton/undo';
import { messageOf } from '@cni-ts/spec/cni-error';
import type { Namespace } from './namespace.ts';
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
      const create = () =>
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
      try {
        try {
          create();
        } catch (error) {
          if (!isGoing(error, pair, host, container)) throw error;
          create();
        }
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

/** A dry run: throws what createVethPair would throw for names that are taken, and for a kernel without veth. */
export function foreseeVethPair(
  pair: Names,
  host: Namespace,
  container: Namespace,
  refusal: SyscallError | undefined,
): void {
  if (refusal) throw explain(refusal, pair, host, container);
  if (!findLink(container.route, pair.containerName) && !findLink(host.route, pair.hostName)) return;
  const error = new SyscallError('RTM_NEWLINK', 'EEXIST');
  if (!isGoing(error, pair, host, container)) throw explain(error, pair, host, container);
}

type Names = Pick<VethPair, 'containerName' | 'hostName'>;

/** In microseconds, and how often. */
const aMoment = 5000;
const moments = 60;

/**
 * Whether the host's link of that name goes by itself, as the kernel takes it some milliseconds after the namespace of its
 * other end was removed: an engine starts the same container anew at once. Nothing tells such a link from one that stays, so
 * this waits a little.
 */
function isGoing(error: unknown, pair: Names, host: Namespace, container: Namespace): boolean {
  if (errnoOf(error) !== 'EEXIST' || findLink(container.route, pair.containerName)) return false;
  for (let moment = 0; moment < moments; moment++) {
    if (!findLink(host.route, pair.hostName)) return true;
    sleep(aMoment);
  }
  return false;
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

function explain(error: unknown, pair: Names, host: Namespace, container: Namespace): Error {
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
  return new Error(`failed to make veth pair: ${messageOf(error)}`, { cause: error });
}
