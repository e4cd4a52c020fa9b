/** What the kernel tells of a namespace's network, for who was not there. */
import { type Cidr, formatCidr } from '@cni-ts/address/cidr';
import { formatIp } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';
import type { Netns } from '@cni-ts/libc/netns';
import { Netlink } from '@cni-ts/netlink/socket';
import { everywhere, listAddresses } from '@cni-ts/rtnetlink/address';
import { type Link, listLinks } from '@cni-ts/rtnetlink/link';
import { findQdisc, tcParent } from '@cni-ts/rtnetlink/qdisc';
import { listRoutes } from '@cni-ts/rtnetlink/route';
import { listRules } from '@cni-ts/rtnetlink/rule';

const families = [4, 6] as const;

/** Each a list, or the reason why there is none: an old kernel has no rules of IPv6. */
export function kernelState(netns?: Netns): Record<string, unknown> {
  const route = netns === undefined ? Netlink.open('route') : Netlink.open('route', netns);
  try {
    const links = listLinks(route);
    return {
      links: links.map(linkOf),
      addresses: listAddresses(route, everywhere).map(({ cidr, index, flags, scope }) => ({
        link: links.find((one) => one.index === index)?.name ?? index,
        address: formatCidr(cidr),
        flags,
        scope,
      })),
      routes: families.flatMap((family) => orWhy(() => routes(route, family, links))),
      rules: families.flatMap((family) => orWhy(() => rules(route, family))),
      qdiscs: links.flatMap((link) => orWhy(() => qdiscs(route, link))),
    };
  } finally {
    route.close();
  }
}

function orWhy(list: () => unknown[]): unknown[] {
  try {
    return list();
  } catch (error) {
    return [{ error: String(error) }];
  }
}

function linkOf(link: Link) {
  const { ifAlias, altNames, linkNetnsId, linkInfo } = link.attributes;
  return {
    ...link,
    mac: link.mac.length === 6 ? formatMac(link.mac) : link.mac,
    attributes: undefined, // those that are told stand below
    alias: ifAlias,
    otherNames: altNames?.altIfname,
    namespaceOfLower: linkNetnsId,
    data: linkInfo?.data,
  };
}

function routes(route: Netlink, family: 4 | 6, links: readonly Link[]): unknown[] {
  return listRoutes(route, family).map(
    ({ dst, table, priority, scope, type, source, hops, mtu, advmss }) => ({
      destination: formatCidr(dst),
      table,
      priority,
      scope,
      type,
      source: source && formatIp(source),
      hops: hops.map(({ index, gateway }) => ({
        link: links.find((one) => one.index === index)?.name ?? index,
        gateway: gateway && formatIp(gateway),
      })),
      ...(mtu !== 0 && { mtu }),
      ...(advmss !== 0 && { advmss }),
    }),
  );
}

function rules(route: Netlink, family: 4 | 6): unknown[] {
  const text = (cidr: Cidr | undefined) => (cidr === undefined ? 'all' : formatCidr(cidr));
  return listRules(route, family).map(({ source, table, priority }) => ({
    family,
    from: text(source),
    table,
    priority,
  }));
}

function qdiscs(route: Netlink, link: Link): unknown[] {
  return Object.entries(tcParent).flatMap(([parent, number]) => {
    const found = findQdisc(route, link, number);
    return found === undefined ? [] : [{ link: link.name, parent, ...found }];
  });
}
