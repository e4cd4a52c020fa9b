/**
 * The container's link as the daemon sees it. One descriptor is held for it: a socket in the container's namespace that
 * hears when the link goes up, down or away, and by which the namespace can be entered when its path is gone.
 */
import { formatMac } from '@cni-ts/address/mac';
import { Ip6Socket } from '@cni-ts/libc/ip6-socket';
import { type NamespaceId, Netns } from '@cni-ts/libc/netns';
import { PacketSocket } from '@cni-ts/libc/packet-socket';
import { RawNetlinkSocket } from '@cni-ts/libc/socket';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { Netlink } from '@cni-ts/netlink/socket';
import {
  findLink,
  findLinkByIndex,
  IFF_LOWER_UP,
  IFF_UP,
  type Link,
  listLinks,
  setUp,
} from '@cni-ts/rtnetlink/link';

const RTNLGRP_LINK = 1;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;

const events = new Uint8Array(16384);
const eventNumbers = new DataView(events.buffer);

/** `error looking up "eth9": Link not found`, the reference's words. */
export class LinkNotFound extends Error {
  constructor(name: string) {
    super(`error looking up "${name}": Link not found`);
  }
}

export class LinkPort {
  readonly name: string;
  readonly kind: string;
  readonly index: number;
  readonly mac: Uint8Array;
  readonly namespace: NamespaceId;
  readonly #events: RawNetlinkSocket;
  #hasCarrier: boolean;
  #gone = false;

  private constructor(link: Link, namespace: NamespaceId, socket: RawNetlinkSocket) {
    this.name = link.name;
    this.kind = link.kind;
    this.index = link.index;
    this.mac = link.mac.slice();
    this.namespace = namespace;
    this.#events = socket;
    this.#hasCarrier = (link.flags & IFF_LOWER_UP) !== 0;
  }

  /**
   * Finds the link in the namespace at the path and sets it up if it is down; `settingUp` is told before. Throws
   * NetnsError, LinkNotFound, and Error for a link that is no Ethernet.
   */
  static open(path: string, name: string, settingUp: () => void): LinkPort {
    return LinkPort.#at(path, () => readyLink(name, settingUp));
  }

  /** Finds the link of a lease: it may have another name by now, and it is left as it is. Throws as `open`. */
  static find(path: string, mac: string, name: string): LinkPort {
    return LinkPort.#at(path, () => {
      const route = Netlink.open('route');
      try {
        const link = findLink(route, name) ?? listLinks(route).find((one) => formatMac(one.mac) === mac);
        if (!link || formatMac(link.mac) !== mac) throw new LinkNotFound(name);
        return link;
      } finally {
        route.close();
      }
    });
  }

  static #at(path: string, find: () => Link): LinkPort {
    const netns = Netns.open(path);
    try {
      return netns.run(() => {
        const socket = new RawNetlinkSocket(0);
        try {
          socket.join(RTNLGRP_LINK);
          return new LinkPort(find(), idOf(netns), socket);
        } catch (error) {
          socket.close();
          throw error;
        }
      });
    } finally {
      netns.close();
    }
  }

  get fd(): number {
    return this.#events.fd;
  }

  get hasCarrier(): boolean {
    return this.#hasCarrier;
  }

  /** It was deleted, or moved to another namespace. */
  get isGone(): boolean {
    return this.#gone;
  }

  get macText(): string {
    return formatMac(this.mac);
  }

  /** Takes in what the kernel told of the namespace's links. */
  takeEvents(): void {
    for (;;) {
      let length: number | undefined;
      try {
        length = this.#events.receiveNow(events);
      } catch (error) {
        if (errnoOf(error) !== 'ENOBUFS') throw error;
        // Some were lost: what they would have said is asked for.
        this.look();
        continue;
      }
      if (length === undefined) return;
      this.#read(length);
    }
  }

  #read(length: number): void {
    for (let at = 0; at + 32 <= length; ) {
      const size = eventNumbers.getUint32(at, true);
      const type = eventNumbers.getUint16(at + 4, true);
      // struct ifinfomsg after the header: index at 4, flags at 8
      if (
        (type === RTM_NEWLINK || type === RTM_DELLINK) &&
        eventNumbers.getInt32(at + 20, true) === this.index
      ) {
        // A bridge tells with family AF_BRIDGE that a port left it, which is not the link's end.
        if (type === RTM_DELLINK && events[at + 16] === 0) this.#gone = true;
        else this.#hasCarrier = (eventNumbers.getUint32(at + 24, true) & IFF_LOWER_UP) !== 0;
      }
      if (size < 16) return;
      at += (size + 3) & ~3;
    }
  }

  /** Asks the kernel how the link is. */
  look(): Link | undefined {
    const link = this.withRoute((route) => findLinkByIndex(route, this.index));
    this.#gone = link === undefined;
    this.#hasCarrier = link !== undefined && (link.flags & IFF_LOWER_UP) !== 0;
    return link;
  }

  setUp(): void {
    this.withRoute((route) => setUp(route, this));
    this.look();
  }

  /** Does something with the links and addresses of the namespace. */
  withRoute<T>(work: (route: Netlink) => T extends PromiseLike<unknown> ? never : T): T {
    return this.run(() => {
      const route = Netlink.open('route');
      try {
        return work(route);
      } finally {
        route.close();
      }
    });
  }

  /** Does something in the namespace. */
  run<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
    const netns = Netns.ofSocket(this.#events.fd);
    try {
      return netns.run(work);
    } finally {
      netns.close();
    }
  }

  /** A socket for the packets of the link to that UDP port. */
  packets(port: number): PacketSocket {
    return this.#listening(() => PacketSocket.open(port));
  }

  #listening(open: () => PacketSocket): PacketSocket {
    const socket = this.run(open);
    try {
      socket.listen(this.index);
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  /** A socket for the ARP packets of the link. */
  arp(): PacketSocket {
    return this.#listening(() => PacketSocket.arp());
  }

  /** A socket for UDP over IPv6 on that port of the link. */
  udp6(port: number): Ip6Socket {
    return this.run(() => Ip6Socket.udp(this.name, port));
  }

  /** A socket for ICMPv6 of that type on the link. */
  icmp6(type: number): Ip6Socket {
    return this.run(() => Ip6Socket.icmp(this.name, type));
  }

  /** The namespace is let go. */
  close(): void {
    this.#events.close();
  }
}

function idOf({ id }: Netns): NamespaceId {
  return { dev: id.dev, ino: id.ino };
}

/** The link, up. */
function readyLink(name: string, settingUp: () => void): Link {
  const route = Netlink.open('route');
  try {
    const link = findLink(route, name);
    if (!link) throw new LinkNotFound(name);
    if (link.mac.length !== 6)
      throw new Error(
        `link "${name}" is no Ethernet (its hardware address has ${link.mac.length} bytes), so it cannot have DHCP`,
      );
    if (link.flags & IFF_UP) return link;
    settingUp();
    setUp(route, link);
    return findLinkByIndex(route, link.index) ?? link;
  } finally {
    route.close();
  }
}
