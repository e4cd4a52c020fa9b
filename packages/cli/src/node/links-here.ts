/** Links of the host and of the containers that live, and which belong together. */
import type { Cidr } from '@cni-ts/address/cidr';
import { formatMac } from '@cni-ts/address/mac';
import { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { IFF_UP, type Link, listLinks } from '@cni-ts/rtnetlink/link';
import { findQdisc } from '@cni-ts/rtnetlink/qdisc';
import { listRoutes, type Route, RT_TABLE_MAIN } from '@cni-ts/rtnetlink/route';
import type { Attached } from './attached.ts';

export interface LinkHere {
  readonly name: string;
  readonly index: number;
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** Name of the bridge or the like that it is a port of; '' for none. */
  readonly master: string;
  /** What is written on it by whoever made it. */
  readonly alias: string;
  /** Index of the lower link or the veth's other end, perhaps in another namespace. */
  readonly lower: number;
  readonly addresses: readonly Cidr[];
}

export interface Place {
  readonly links: readonly LinkHere[];
  /** Of the main table. */
  readonly routes: readonly Route[];
}

/** The calling thread's network namespace, or the one at a path. Throws where there is none, or it may not be looked at. */
export function placeAt(netns?: string): Place {
  const opened = netns === undefined ? undefined : Netns.open(netns);
  try {
    const nl = Netlink.open('route', opened);
    try {
      const links = listLinks(nl);
      const addresses = listAddresses(nl, everywhere);
      const nameOf = (index: number) => links.find((one) => one.index === index)?.name ?? '';
      return {
        links: links.map((one) => ({
          ...describe(one),
          master: one.master === 0 ? '' : nameOf(one.master),
          addresses: addresses.flatMap(({ index, cidr }) => (index === one.index ? [cidr] : [])),
        })),
        routes: ([4, 6] as const).flatMap((family) =>
          listRoutes(nl, family).filter(({ table }) => table === RT_TABLE_MAIN),
        ),
      };
    } finally {
      nl.close();
    }
  } finally {
    opened?.close();
  }
}

function describe({ name, index, kind, mac, mtu, flags, lower, attributes }: Link) {
  const isUp = (flags & IFF_UP) !== 0;
  return { name, index, kind, mac: formatMac(mac), mtu, isUp, lower, alias: attributes.ifAlias ?? '' };
}

/** What is in the namespaces of the attachments, by their paths; why not, where one cannot be looked at. */
export function insideOf(attached: readonly Attached[]): ReadonlyMap<string, Place | Error> {
  const inside = new Map<string, Place | Error>();
  for (const { netns, lives } of attached) {
    if (!lives || inside.has(netns)) continue;
    try {
      inside.set(netns, placeAt(netns));
    } catch (error) {
      inside.set(netns, error instanceof Error ? error : new Error(String(error)));
    }
  }
  return inside;
}

/** The host's end of a veth inside. Each end names the other by its number. */
export function hostEndOf(inner: LinkHere, host: readonly LinkHere[]): LinkHere | undefined {
  if (inner.kind !== 'veth') return undefined;
  return host.find(
    ({ index, lower, kind }) => kind === 'veth' && index === inner.lower && lower === inner.index,
  );
}

/** Bytes a second that a token bucket of the host's link lets through; undefined where there is none. */
export function rateOf(link: LinkHere): bigint | undefined {
  const nl = Netlink.open('route');
  try {
    return findQdisc(nl, link)?.tokenBucket?.rate;
  } finally {
    nl.close();
  }
}
