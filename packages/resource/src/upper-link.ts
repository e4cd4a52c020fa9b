import { formatMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import {
  createLink,
  deleteLink,
  findLink,
  getLink,
  type Link,
  type NewLink,
  renameLink,
  setMac,
} from '@cni-ts/rtnetlink/link';
import { isOwnedBy } from '@cni-ts/skeleton/link-owner';
import { errorText } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { containerLinkDrift, type LinkWords, recordedLink, recordedMac, sameMac } from './container-link.ts';
import { hostLinkName } from './link-name.ts';
import { findNamespace, type Namespace } from './namespace.ts';
import { isAnothers } from './owned-links.ts';
import { recordedInterfaces } from './recorded-interfaces.ts';
import type { Drift, Lasting, Place, Resource } from './resource.ts';
import type { Site } from './site.ts';

export interface UpperLinkWant {
  readonly plugin: string;
  /** The kind, and its data. */
  readonly info: NewLink['info'];
  /** The link it stands on, and where that is. */
  readonly master: Link;
  readonly outside: Place;
  readonly mtu: number | undefined;
  /** undefined: one is chosen; so the link is known again although the kernel's answer was lost, and told from another's
   *  of the same name. */
  readonly mac: Uint8Array | undefined;
  /** It has its master's MAC. */
  readonly sharesMac?: boolean;
  readonly words: LinkWords;
  /** How the data of the link as it is differs from `info`, in words. */
  readonly dataDrift: (link: Link) => string[];
}

/** The container's link on top of one of the host's: macvlan, say. It is born in the container, which costs a twentieth
 *  of moving it there. */
export class UpperLink implements Resource {
  readonly #want: UpperLinkWant;

  constructor(want: UpperLinkWant) {
    this.#want = want;
  }

  describe({ ifname }: Site): string {
    const { info, master, mtu } = this.#want;
    return `link ${ifname}, ${info.kind} on ${master.name}${mtu ? `, mtu ${mtu}` : ''}`;
  }

  ensure(site: Site): void {
    const { info, master, outside, mtu, mac, sharesMac } = this.#want;
    const { container, ifname, request } = site;
    const at = site.at(outside);
    const wanted: NewLink = {
      name: ifname,
      lower: master.index,
      mac: mac ?? (sharesMac ? undefined : (recordedMac(recordedLink(site)) ?? randomMac())),
      mtu,
      netnsFd: outside === 'container' ? undefined : container.netns.fd,
      info,
    };
    const what = `${info.kind} ${ifname}`;
    try {
      request.undo.make(
        what,
        () => createLink(at.route, wanted),
        () => takeBack(container, ifname, wanted),
      );
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw this.#refused(error);
      if (findLink(container.route, ifname)) {
        const text = `failed to rename ${info.kind} to "${ifname}": file exists: the container has a link of that name`;
        throw new Error(text, { cause: error });
      }
      this.#createAndRename(site, wanted);
    }
    const made = failing(`failed to refetch ${info.kind} "${ifname}"`, () =>
      getLink(container.route, ifname),
    );
    site.look('container', ifname, made);
  }

  /**
   * Kernels before 6.14 look for the new link's name in the master's namespace as well, where an `eth0` is the rule:
   * there the link starts under a name that nobody has.
   */
  #createAndRename(site: Site, wanted: NewLink): void {
    const { info, outside } = this.#want;
    const { container, ifname, owner, request } = site;
    const name = hostLinkName(info.kind.slice(0, 4), owner.network, owner.containerId, ifname);
    try {
      request.undo.make(
        `${info.kind} ${ifname}`,
        () => createLink(site.at(outside).route, { ...wanted, name }),
        () => {
          for (const one of [name, ifname]) takeBack(container, one, wanted);
        },
      );
    } catch (error) {
      throw this.#refused(error);
    }
    failing(`failed to rename ${info.kind} to "${ifname}"`, () =>
      renameLink(container.route, getLink(container.route, name), ifname),
    );
  }

  #refused(error: unknown): Error {
    const { info, master } = this.#want;
    const advice =
      errnoOf(error) === 'EBUSY'
        ? `: "${master.name}" is a port of a bridge or bond, or has links of another kind on it`
        : '';
    return new Error(`failed to create ${info.kind}: ${errorText(error)}${advice}`, { cause: error });
  }

  differences(site: Site): Drift[] {
    const { info, master, words, dataDrift } = this.#want;
    const basic = containerLinkDrift(site, info.kind, words);
    if (basic.length) return basic;
    const link = site.link('container', site.ifname);
    const all = dataDrift(link);
    if (link.lower !== master.index) {
      all.push(
        `container interface ${link.name} is on link ${link.lower}, not on its master "${master.name}"`,
      );
    }
    return all.map((text) => ({ text }));
  }

  /** Only its MAC can be put right. What else has the name is exchanged: by the recorded result this name in this
   *  container is the attachment's. */
  mend(site: Site): boolean {
    const { info, master, dataDrift } = this.#want;
    const link = site.find('container', site.ifname);
    if (!link) return false;
    const entry = recordedLink(site);
    const mac = recordedMac(entry);
    if (link.kind === info.kind && link.lower === master.index && dataDrift(link).length === 0) {
      if (entry && mac && !sameMac(entry, link)) setMac(site.container.route, link, mac);
      return true;
    }
    deleteLink(site.container.route, link);
    return false;
  }
}

/** Deletes the link of that name if it is the one that was asked for: of this kind, on this master, with this MAC. */
function takeBack(inside: Namespace, name: string, { lower, mac, info }: NewLink): void {
  const link = findLink(inside.route, name);
  if (link?.kind !== info.kind || link.lower !== lower) return;
  if (!mac || formatMac(mac) === formatMac(link.mac)) deleteLink(inside.route, link);
}

/** As the kernel makes one: any but for the bits that say unicast and locally administered. */
function randomMac(): Uint8Array {
  const high = Math.random() * 0x1000000;
  const low = Math.random() * 0x1000000;
  return Uint8Array.of(((high >> 16) & 0xfc) | 2, high >> 8, high, low >> 16, low >> 8, low);
}

/**
 * The link of an attachment in its container, for DEL: not another container's, whose namespace has got the process ID in
 * the path, nor another network's. Known by its alias; where it has none (the reference gives none, nor has a link that
 * was not finished) by the MAC that prevResult tells; without prevResult by what `looksLike` says.
 */
export class UpperLinkLasting implements Lasting {
  readonly name = 'the link';
  readonly #plugin: string;
  readonly #kind: string;
  readonly #looksLike: (link: Link, site: Site, inside: Namespace) => boolean;

  constructor(
    plugin: string,
    kind: string,
    looksLike: (link: Link, site: Site, inside: Namespace) => boolean,
  ) {
    this.#plugin = plugin;
    this.#kind = kind;
    this.#looksLike = looksLike;
  }

  remove(site: Site): void {
    // Without the namespace there is nothing to delete: the link went with it.
    const inside = findNamespace(site.request);
    const link = inside && findLink(inside.route, site.ifname);
    if (!link || !this.#isOwn(link, site, inside)) return;
    failing(`failed to delete "${site.ifname}"`, () => deleteLink(inside.route, link));
  }

  #isOwn(link: Link, site: Site, inside: Namespace): boolean {
    if (link.kind !== this.#kind) return false;
    const { request, owner, ifname } = site;
    if (link.attributes.ifAlias) {
      if (isOwnedBy(link.attributes.ifAlias, owner, this.#plugin)) return true;
      if (isAnothers(link, owner, this.#plugin)) return false;
    }
    const entry = recordedInterfaces(request).findLast(({ name, sandbox }) => name === ifname && sandbox);
    if (entry) return entry.mac !== undefined && sameMac(entry, link);
    try {
      return this.#looksLike(link, site, inside);
    } catch (error) {
      request.log(`${this.#plugin}: cannot tell whose "${ifname}" is, it is left: ${errorText(error)}`);
      return false;
    }
  }
}
