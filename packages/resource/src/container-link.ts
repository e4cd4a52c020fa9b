import { formatMac, parseMac } from '@cni-ts/address/mac';
import { type Link, setMac } from '@cni-ts/rtnetlink/link';
import { namesAnother } from '@cni-ts/skeleton/link-owner';
import type { Interface } from '@cni-ts/spec/result';
import { hiding } from './drift.ts';
import type { Namespace } from './namespace.ts';
import { recordedInterfaces } from './recorded-interfaces.ts';
import type { Drift } from './resource.ts';
import type { Site } from './site.ts';

/** What a plugin says of a link that is not as it was: operators know the reference's words, and each plugin has its
 *  own. */
export interface LinkWords {
  sandbox(netns: string, recorded: string): string;
  missing(name: string): string;
  kind(name: string): string;
  mac(name: string, recorded: string, found: string): string;
  down(name: string): string;
}

/** The entry of the recorded result for the link in the container. */
export function recordedLink(site: Site): Interface | undefined {
  const { ifname, netns } = site.request;
  return site.recorded?.interfaces?.findLast(({ name, sandbox }) => name === ifname && sandbox === netns);
}

/** The MAC that an entry of a result names, as bytes. */
export function recordedMac(entry: Interface | undefined): Uint8Array | undefined {
  return entry?.mac ? parseMac(entry.mac) : undefined;
}

/** Hardware addresses are compared by value; one that was not recorded matches. */
export function sameMac(entry: Interface, link: Link): boolean {
  if (!entry.mac) return true;
  const recorded = recordedMac(entry);
  return recorded !== undefined && formatMac(recorded) === formatMac(link.mac);
}

/** Gives the link the MAC that was recorded, where it has another. */
export function restoreMac({ route }: Namespace, link: Link, entry: Interface | undefined): void {
  const mac = recordedMac(entry);
  if (mac && formatMac(mac) !== formatMac(link.mac)) setMac(route, link, mac);
}

/** Whether the container's link is there, of this kind, and the one that ADD made; it hides all else if not. */
export function containerLinkDrift(site: Site, kind: string, words: LinkWords): Drift[] {
  const { ifname, netns } = site.request;
  const entry = recordedLink(site);
  if (!entry) {
    const recorded = site.recorded?.interfaces?.findLast(({ name }) => name === ifname)?.sandbox ?? '';
    return hiding(words.sandbox(netns, recorded));
  }
  const link = site.find('container', ifname);
  if (!link) return hiding(words.missing(ifname));
  if (link.kind !== kind) return hiding(words.kind(ifname));
  if (!sameMac(entry, link)) return hiding(words.mac(ifname, entry.mac ?? '', formatMac(link.mac)));
  return [];
}

/**
 * For DEL of a plugin that did not make the link: whether a link of the interface's name is another attachment's, for the
 * path may lead to another container by now. By its alias, or by the MAC of prevResult.
 */
export function isAnotherContainers({ request, ifname, owner }: Site, link: Link): boolean {
  if (namesAnother(link.attributes.ifAlias ?? '', owner)) return true;
  const entry = recordedInterfaces(request).findLast(({ name, sandbox }) => name === ifname && sandbox);
  return entry !== undefined && !sameMac(entry, link);
}
