/** Asks the routers of a link what they are for (RFC 4861): DHCPv6 knows neither prefix length nor router. */
import { contains, parseCidr } from '@cni-ts/address/cidr';
import { formatIp, type Ip, isLinkLocal6, parseIp } from '@cni-ts/address/ip';
import type { Result6Options } from '@cni-ts/dhcp-protocol/lease';
import { MalformedPacket } from '@cni-ts/dhcp-protocol/malformed';
import {
  type RouterAdvertisement,
  readRouterAdvertisement,
  writeRouterSolicitation,
} from '@cni-ts/dhcp-protocol/router-advertisement';
import type { Ip6Socket } from '@cni-ts/libc/ip6-socket';
import { Alarm } from './alarm.ts';
import type { Around } from './around.ts';
import type { LinkPort } from './link-port.ts';
import { WatchedSocket } from './watched-socket.ts';

const ROUTER_ADVERTISEMENT = 134;
const allRouters = parseIp('ff02::2')!.bytes; // reason: a constant
/** Solicitations go out until one is answered, the first as soon as the link has an address; milliseconds. */
const betweenSolicitations = 500;
const mostSolicitations = 10;

/** What a router has said, as it is stored. */
export interface Router {
  /** Link-local address. */
  readonly address: string;
  /** Whether it is a default router. */
  readonly isDefault: boolean;
  /** Whether addresses come by DHCPv6. */
  readonly managed: boolean;
  /** Those that are on the link. */
  readonly prefixes: readonly string[];
  readonly mtu?: number;
  readonly dns: readonly string[];
  readonly search: readonly string[];
}

export class RouterWatch {
  readonly #port: LinkPort;
  readonly #ended: (router: Router | undefined) => void;
  readonly #advertisements: WatchedSocket<Ip6Socket>;
  readonly #timer: Alarm;
  #sent = 0;

  /** `ended`: told once, of the first router that answers, or that none does. */
  constructor(around: Around, port: LinkPort, ended: (router: Router | undefined) => void) {
    this.#port = port;
    this.#ended = ended;
    this.#timer = new Alarm(around.loop);
    this.#advertisements = new WatchedSocket(around, {
      open: () => port.icmp6(ROUTER_ADVERTISEMENT),
      failure: () => `no router advertisements of ${port.name}`,
      readable: () => this.#receive(),
    });
  }

  start(): void {
    this.#advertisements.open();
    this.#timer.after(0, () => this.#solicit());
  }

  stop(): void {
    this.#timer.cancel();
    this.#advertisements.close();
  }

  #solicit(): void {
    const { socket } = this.#advertisements;
    if (this.#sent++ >= mostSolicitations || !socket) {
      this.stop();
      this.#ended(undefined);
      return;
    }
    try {
      // The kernel fills in the checksum, of the address that it sends from.
      socket.send(writeRouterSolicitation('::'), allRouters, 0, this.#port.index);
    } catch {
      // reason: the link has no address of its own yet; the next one goes out
    }
    this.#timer.after(betweenSolicitations, () => this.#solicit());
  }

  #receive(): void {
    const next = () => this.#advertisements.socket?.receive();
    for (let datagram = next(); datagram; datagram = next()) {
      const from: Ip = { family: 6, bytes: datagram.from.slice() };
      if (!isLinkLocal6(from)) continue;
      const said = readSafely(datagram.bytes);
      if (!said) continue;
      this.stop();
      this.#ended(routerOf(formatIp(from), said));
      return;
    }
  }
}

function readSafely(bytes: Uint8Array): RouterAdvertisement | undefined {
  try {
    return readRouterAdvertisement(bytes);
  } catch (error) {
    // reason: anybody on the wire can send such; it is nothing to us
    if (error instanceof MalformedPacket) return undefined;
    throw error;
  }
}

function routerOf(address: string, said: RouterAdvertisement): Router {
  return {
    address,
    isDefault: said.routerLifetime > 0,
    managed: said.managed,
    prefixes: said.prefixes.filter(({ onLink, valid }) => onLink && valid > 0).map(({ prefix }) => prefix),
    ...(said.mtu !== undefined && { mtu: said.mtu }),
    dns: said.rdnss.flatMap(({ servers, lifetime }) => (lifetime > 0 ? servers : [])),
    search: said.dnssl.flatMap(({ names, lifetime }) => (lifetime > 0 ? names : [])),
  };
}

/** What the router adds to a lease of that address. */
export function addedBy(router: Router | undefined, address: string): Result6Options {
  const ip = parseIp(address);
  if (!router || !ip) return {};
  const prefixes = router.prefixes.flatMap((text) => parseCidr(text) ?? []);
  const own = prefixes.find((one) => contains(one, ip));
  const { dns, search } = router;
  return {
    ...(own && { prefix: own.prefix }),
    ...(router.isDefault && { gateway: router.address }),
    ...(router.mtu !== undefined && { mtu: router.mtu }),
    ...(dns.length + search.length > 0 && { dns: { nameservers: [...dns], search: [...search] } }),
  };
}
