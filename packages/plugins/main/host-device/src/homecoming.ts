/** How a device comes back from a container. */
import { formatMac, parseMac } from '@cni-ts/address/mac';
import { emptyNamespace, type Namespace } from '@cni-ts/resource/namespace';
import type { Site } from '@cni-ts/resource/site';
import { changeLink, type LinkChange } from '@cni-ts/rtnetlink/change-link';
import {
  findLink,
  findLinkByIndex,
  getLink,
  IFF_ALLMULTI,
  IFF_PROMISC,
  IFF_UP,
  type Link,
  setDown,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { errorText, messageOf } from '@cni-ts/spec/cni-error';
import type { Home } from './find-device.ts';

/** One that the reference moved, of which nothing but the name is known. */
export type KnownHome = Pick<Home, 'name' | 'alias'> & Partial<Home>;

/**
 * Takes a device out of a container, to the host under its name there, as it was. Nobody on the host sees it under another
 * name. Its alias goes last: a call that ends before has left the mark for the next. Throws when the host has another link
 * of that name; then the device stays where it is, as it is.
 */
export function takeHome(site: Site, inside: Namespace, link: Link, home: KnownHome): void {
  const { host } = site;
  const { name } = home;
  if (findLink(host.route, name)) {
    throw new Error(
      `failed to move "${name}" to hostNS: file exists: the host has another link of that name; "${link.name}" stays in ` +
        'the container until that one is gone',
    );
  }
  const taken = link.name !== name && findLink(inside.route, name) !== undefined;
  if (taken) throughScratch(site, inside, link, name);
  else directly(host, inside, link, name);
  settle(site, name, home);
}

/** It has the name already when it gets to the host. A link must be down to be renamed by older kernels. */
function directly(host: Namespace, inside: Namespace, link: Link, name: string): void {
  if (link.flags & IFF_UP) setDown(inside.route, link);
  try {
    // The alias once more: it is what the device is found by if this ends halfway.
    if (link.name !== name || link.attributes.ifAlias !== name)
      changeLink(inside.route, link, { name, ifAlias: name });
    changeLink(inside.route, link, { netnsFd: host.netns.fd });
  } catch (error) {
    const still = findLinkByIndex(inside.route, link.index);
    // It went, and the answer was lost.
    if (!still) return;
    if (still.name !== link.name) changeLink(inside.route, link, { name: link.name });
    if (link.flags & IFF_UP) setUp(inside.route, link);
    throw new Error(`failed to move "${name}" to hostNS: ${messageOf(error)}`, { cause: error });
  }
}

/** Where the container has another link of that name: by way of a namespace that has none. */
function throughScratch(site: Site, inside: Namespace, link: Link, name: string): void {
  const scratch = emptyNamespace(site.request);
  changeLink(inside.route, link, { netnsFd: scratch.netns.fd, name, ifAlias: name });
  const moved = getLink(scratch.route, name);
  try {
    changeLink(scratch.route, moved, { netnsFd: site.host.netns.fd });
  } catch (error) {
    if (!findLink(scratch.route, name)) return;
    changeLink(scratch.route, moved, { netnsFd: inside.netns.fd, name: link.name });
    if (link.flags & IFF_UP) setUp(inside.route, getLink(inside.route, link.name));
    throw new Error(`failed to move "${name}" to hostNS: ${messageOf(error)}`, { cause: error });
  }
}

/** One that is on the host under another name: it came home without a DEL. */
export function renameHome(site: Site, link: Link, home: KnownHome): void {
  const { host } = site;
  if (link.name !== home.name) {
    if (findLink(host.route, home.name)) {
      throw new Error(
        `failed to rename device "${link.name}" to "${home.name}": file exists: the host has another link of that name`,
      );
    }
    if (link.flags & IFF_UP) setDown(host.route, link);
    changeLink(host.route, link, { name: home.name });
  }
  settle(site, home.name, home);
}

const kept = IFF_UP | IFF_PROMISC | IFF_ALLMULTI;

/** MAC, MTU, queue and flags as they were, then the alias. A driver that refuses one of them must not keep DEL from its end. */
function settle(site: Site, name: string, home: KnownHome): void {
  const { route } = site.host;
  const link = getLink(route, name);
  const change = differing(link, home);
  const parts = Object.keys(change).length > 0;
  if (parts) {
    try {
      changeLink(route, link, change);
    } catch {
      // reason: one after the other, it shows which
      oneByOne(site, link, change);
    }
  }
  changeLink(route, link, { ifAlias: home.alias });
}

function oneByOne(site: Site, link: Link, { flags, mask, ...rest }: LinkChange): void {
  const each: LinkChange[] = Object.entries(rest).map(([key, value]) => ({ [key]: value }));
  if (flags !== undefined && mask !== undefined) each.push({ flags, mask });
  for (const one of each) {
    try {
      changeLink(site.host.route, link, one);
    } catch (error) {
      const what = JSON.stringify({ ...one, ...(one.mac && { mac: formatMac(one.mac) }) });
      site.request.log(
        `host-device: "${link.name}" is home, but is not as it was, ${what}: ${errorText(error)}`,
      );
    }
  }
}

function differing(link: Link, { mac, mtu, txQueueLength, flags }: KnownHome): LinkChange {
  const bytes = mac && mac !== formatMac(link.mac) ? parseMac(mac) : undefined;
  return {
    ...(bytes && { mac: bytes }),
    ...(mtu && mtu !== link.mtu && { mtu }),
    ...(txQueueLength !== undefined && txQueueLength !== link.txQueueLength && { txQueueLength }),
    ...(flags !== undefined && ((flags ^ link.flags) & kept) !== 0 && { flags: flags & kept, mask: kept }),
  };
}
