/** This node's links, and the way packets leave it. */
import { Netlink } from '@cni-ts/netlink/socket';
import { listLinks } from '@cni-ts/rtnetlink/link';
import { listRoutes } from '@cni-ts/rtnetlink/route';
import type { Node } from './node-rules.ts';

export function thisNode(): Node {
  const route = Netlink.open('route');
  try {
    const links = listLinks(route);
    const nameOf = (index: number) => links.find((one) => one.index === index)?.name ?? '';
    return {
      links: links.map(({ name, mtu, master, attributes }) => ({
        name,
        mtu,
        master: master === 0 ? '' : nameOf(master),
        altNames: attributes.altNames?.altIfname ?? [],
      })),
      uplink: uplinkOf(route, nameOf),
    };
  } finally {
    route.close();
  }
}

const mainTable = 254;

function uplinkOf(route: Netlink, nameOf: (index: number) => string): string | undefined {
  for (const family of [4, 6] as const) {
    const found = listRoutes(route, family).find(({ dst, table }) => dst.prefix === 0 && table === mainTable);
    const [hop] = found?.hops ?? [];
    const name = hop && nameOf(hop.index);
    if (name) return name;
  }
  return undefined;
}
