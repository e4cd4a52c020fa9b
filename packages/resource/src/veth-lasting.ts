import type { Cidr } from '@cni-ts/address/cidr';
import { isGlobalUnicast } from '@cni-ts/address/ip';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { listAddresses } from '@cni-ts/rtnetlink/address';
import { deleteLink, findLink, findLinkByIndex, type Link } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { Interface } from '@cni-ts/spec/result';
import { sameMac } from './container-link.ts';
import { hostLinkName } from './link-name.ts';
import { findNamespace, type Namespace } from './namespace.ts';
import { collectLinks, isAnothers } from './owned-links.ts';
import { recordedAddresses, recordedInterfaces } from './recorded-interfaces.ts';
import type { Lasting } from './resource.ts';
import type { Site } from './site.ts';

/** One end of a pair, and where it is: whichever is enough to delete both. */
interface VethEnd {
  readonly at: Namespace;
  readonly link: Link;
}

/**
 * The pair of an attachment, for DEL: not whatever has the interface's name, which may be another container's, whose
 * namespace has got the process ID in the path, or another network's. The attachment's own is
 * - the host's link of the name that we give it, wherever the other end is;
 * - one that prevResult tells, with the MAC it tells: the reference names its links at random;
 * - without prevResult, the container's link if `isTheirs` takes the host's end for one that the reference made for this
 *   network.
 * A link whose alias names another attachment is none of these.
 */
export class VethLasting implements Lasting {
  readonly name = 'the pair of links';
  readonly #plugin: string;
  readonly #isTheirs: (hostEnd: Link, site: Site) => boolean;

  constructor(plugin: string, isTheirs: (hostEnd: Link, site: Site) => boolean) {
    this.#plugin = plugin;
    this.#isTheirs = isTheirs;
  }

  /**
   * The container's addresses, by which DEL spares the rules of its other interfaces: those that prevResult tells, else
   * those of the pair's end in the container, without what every link has by itself. undefined where neither is known.
   * To be asked before the pair is gone.
   */
  addresses(site: Site): Cidr[] | undefined {
    const { request } = site;
    const recorded = recordedAddresses(request);
    const end = recorded ? undefined : this.#find(site);
    if (!end) return recorded;
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

  /** By one of its ends. The kernel lets the call wait until nobody can be using the links any more (20 ms). What it clears
   *  away meanwhile need not be waited for again: rules are to be removed before, not after. */
  remove(site: Site): void {
    const end = this.#find(site);
    if (end) failing(`failed to delete "${end.link.name}"`, () => deleteLink(end.at.route, end.link));
  }

  collect({ host, request: { network, validAttachments } }: Site): void {
    collectLinks(host, network, this.#plugin, validAttachments);
  }

  #find(site: Site): VethEnd | undefined {
    return site.once(this, () => this.#look(site));
  }

  #look(site: Site): VethEnd | undefined {
    const { request, host, owner } = site;
    const { network, containerId, ifname } = owner;
    const named = findLink(host.route, hostLinkName('veth', network, containerId, ifname));
    if (named?.kind === 'veth' && !isAnothers(named, owner, this.#plugin)) return { at: host, link: named };
    const recorded = recordedInterfaces(request);
    const hostEnd = recordedHostEnd(recorded, host);
    if (hostEnd) return isAnothers(hostEnd, owner, this.#plugin) ? undefined : { at: host, link: hostEnd };

    const inside = findNamespace(request);
    const link = inside && findLink(inside.route, ifname);
    if (!inside || link?.kind !== 'veth') return undefined;
    const peer = peerOf(link, host);
    if (peer && isAnothers(peer, owner, this.#plugin)) return undefined;
    const entry = recorded.findLast(({ name, sandbox }) => name === ifname && sandbox);
    if (entry) return hasMac(link, entry) ? { at: inside, link } : undefined;
    const looksTheirs = peer && !peer.attributes.ifAlias && /^veth[0-9a-f]{8}$/.test(peer.name);
    return looksTheirs && this.#isTheirs(peer, site) ? { at: host, link: peer } : undefined;
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

function hasMac(link: Link, entry: Interface): boolean {
  return entry.mac !== undefined && sameMac(entry, link);
}

/** Indexes count per namespace: the link with that index on the host is another one if its peer is not this. */
function peerOf(inside: Link, host: Namespace): Link | undefined {
  const peer = findLinkByIndex(host.route, inside.lower);
  return peer?.kind === 'veth' && peer.lower === inside.index ? peer : undefined;
}
