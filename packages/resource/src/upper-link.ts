import type { Cidr } from '@cni-ts/address/cidr';
import { equalIp } from '@cni-ts/address/ip';
import { formatMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { listAddresses } from '@cni-ts/rtnetlink/address';
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
import { errorText, messageOf } from '@cni-ts/spec/cni-error';
import { failing } from '@cni-ts/spec/failing';
import { containerLinkDrift, type LinkWords, recordedLink, recordedMac, sameMac } from './container-link.ts';
import { refusalOfKind } from './kind-of-link.ts';
import { hostLinkName } from './link-name.ts';
import { findNamespace, type Namespace } from './namespace.ts';
import { isAnothers } from './owned-links.ts';
import { randomMac } from './random-mac.ts';
import { recordedAddresses, recordedInterfaces } from './recorded-interfaces.ts';
import type { Drift, Lasting, Place, Resource } from './resource.ts';
import type { Site } from './site.ts';
import { foreseenRefusal, whyRefused } from './upper-refusal.ts';

export interface UpperLinkWant {
  readonly plugin: string;
  /** The kind, and its data. */
  readonly info: NewLink['info'];
  /** The link it stands on, looked for when it is needed, and where that is. */
  readonly master: () => Link;
  readonly outside: Place;
  /** Which link that is does not follow from the configuration, so that CHECK cannot tell. */
  readonly anyMaster?: boolean;
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
    return `link ${ifname}, ${info.kind} on ${master().name}${mtu ? `, mtu ${mtu}` : ''}`;
  }

  ensure(site: Site): void {
    const { info, outside, mtu, mac, sharesMac } = this.#want;
    const { container, ifname, request } = site;
    const master = this.#want.master();
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
    const born = { ...wanted, standsOn: standsOn(info, master), made: false };
    try {
      request.undo.make(
        what,
        () => {
          createLink(at.route, wanted);
          born.made = true;
        },
        () => takeBack(container, ifname, born),
      );
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw this.#refused(error, at);
      this.#refuseTaken(site, error);
      this.#createAndRename(site, born);
    }
    const made = failing(`failed to refetch ${info.kind} "${ifname}"`, () =>
      getLink(container.route, ifname),
    );
    site.look('container', ifname, made);
  }

  #refuseTaken({ container, ifname }: Site, cause?: unknown): void {
    const there = findLink(container.route, ifname);
    if (!there) return;
    const { kind } = this.#want.info;
    const text = `failed to rename ${kind} to "${ifname}": file exists: the container has a link of that name`;
    throw new Error(`${text}${there.kind && ` (${there.kind})`}`, { cause });
  }

  foresee(site: Site, note: (text: string) => void): void {
    const { info, outside } = this.#want;
    const at = site.at(outside);
    // In the kernel's order: it looks for the name before the kind.
    this.#refuseTaken(site);
    const noKind = refusalOfKind(site, info.kind, note);
    if (noKind) throw this.#refused(noKind, at);
    const refusal = foreseenRefusal(info, this.#want.master(), at);
    if (refusal) throw this.#refused(refusal, at);
  }

  /**
   * Kernels before 6.14 look for the new link's name in the master's namespace as well, where an `eth0` is the rule:
   * there the link starts under a name that nobody has.
   */
  #createAndRename(site: Site, born: Born): void {
    const { info, outside } = this.#want;
    const { container, ifname, request } = site;
    const name = nameAtBirth(info.kind, site);
    let renamed = false;
    try {
      request.undo.make(
        `${info.kind} ${ifname}`,
        () => {
          createLink(site.at(outside).route, { ...born, name });
          born.made = true;
        },
        () => {
          takeBack(container, name, born);
          takeBack(container, ifname, { ...born, made: renamed });
        },
      );
    } catch (error) {
      throw this.#refused(error, site.at(outside));
    }
    failing(`failed to rename ${info.kind} to "${ifname}"`, () =>
      renameLink(container.route, getLink(container.route, name), ifname),
    );
    renamed = true;
  }

  #refused(error: unknown, outside: Namespace): Error {
    const { info, master } = this.#want;
    const advice = whyRefused(error, info, master(), outside);
    return new Error(`failed to create ${info.kind}: ${errorText(error)}${advice}`, { cause: error });
  }

  differences(site: Site): Drift[] {
    const { info, words, dataDrift } = this.#want;
    const master = this.#namedMaster(site);
    const basic = containerLinkDrift(site, info.kind, words);
    if (basic.length) return basic;
    const link = site.link('container', site.ifname);
    const all = dataDrift(link);
    if (master && !this.#isOn(link, master)) {
      const where = link.attributes.linkNetnsId === undefined ? ' of the container' : '';
      all.push(
        `container interface ${link.name} is on link ${link.lower}${where}, not on its master "${master.name}"`,
      );
    }
    return all.map((text) => ({ text }));
  }

  /** Where the configuration names one that is gone, so is what stood on it. */
  #namedMaster(site: Site): Link | undefined {
    const { master, anyMaster } = this.#want;
    if (anyMaster) return undefined;
    try {
      return master();
    } catch (error) {
      if (site.find('container', site.ifname)) throw error;
      throw new Error(`${messageOf(error)}; "${site.ifname}", which stood on it, is gone, too`, {
        cause: error,
      });
    }
  }

  #isOn(link: Link, master: Link): boolean {
    const { info, outside } = this.#want;
    if (link.lower !== standsOn(info, master)) return false;
    // What stands on another of its kind stands on what that one does, wherever that is.
    if (link.lower !== master.index) return true;
    return (link.attributes.linkNetnsId === undefined) === (outside === 'container');
  }

  /** Only its MAC can be put right. What else has the name is exchanged: by the recorded result this name in this
   *  container is the attachment's. */
  mend(site: Site): boolean {
    const { info, dataDrift } = this.#want;
    const link = site.find('container', site.ifname);
    if (!link) return false;
    const entry = recordedLink(site);
    const mac = recordedMac(entry);
    const master = this.#namedMaster(site);
    if (link.kind === info.kind && (!master || this.#isOn(link, master)) && dataDrift(link).length === 0) {
      if (entry && mac && !sameMac(entry, link)) setMac(site.container.route, link, mac);
      return true;
    }
    deleteLink(site.container.route, link);
    return false;
  }
}

/** The name a link starts under where it cannot have its own yet. */
function nameAtBirth(kind: string, { owner, ifname }: Site): string {
  return hostLinkName(kind.slice(0, 4), owner.network, owner.containerId, ifname);
}

/** A link as it was asked for, and whether the kernel has said that it is made, under the name in question. */
type Born = NewLink & { readonly standsOn: number; made: boolean };

/** What stands on a macvlan or ipvlan stands, to the kernel, on what that one does. A VLAN within a VLAN is no such case. */
function standsOn({ kind }: { readonly kind: string }, master: Link): number {
  return kind !== 'vlan' && master.kind === kind ? master.lower : master.index;
}

/**
 * Deletes the link of that name if it is the one that was asked for: of this kind, on this master, with this MAC. One that
 * has its master's MAC may be another of the same name, as long as the kernel has not said that it made it: an earlier
 * ADD's has an alias, which this one gets when it comes up.
 */
function takeBack(inside: Namespace, name: string, { standsOn, mac, info, made }: Born): void {
  const link = findLink(inside.route, name);
  if (link?.kind !== info.kind || link.lower !== standsOn) return;
  if (mac ? formatMac(mac) !== formatMac(link.mac) : !made && link.attributes.ifAlias) return;
  deleteLink(inside.route, link);
}

type LooksLike = (link: Link, site: Site, inside: Namespace) => boolean;

/** Whether it has one of the addresses, or none at all: then it was not finished, or has lost them. */
function mayHave(inside: Namespace, link: Link, recorded: readonly Cidr[]): boolean {
  const present = listAddresses(inside.route, link).filter(({ scope }) => scope === universe);
  if (present.length === 0 || recorded.length === 0) return true;
  return recorded.some((one) => present.some(({ cidr }) => equalIp(cidr.ip, one.ip)));
}

/** RT_SCOPE_UNIVERSE: not an address that comes with the link. */
const universe = 0;

/**
 * The link of an attachment in its container, for DEL: not another container's, whose namespace has got the process ID in
 * the path, nor another network's. Known by its alias; where it has none (the reference gives none, nor has a link that
 * was not finished) by the MAC that prevResult tells; without prevResult by what `looksLike` says.
 */
export class UpperLinkLasting implements Lasting {
  readonly name = 'the link';
  readonly #plugin: string;
  readonly #kind: string;
  readonly #looksLike: LooksLike;
  readonly #sharesMac: boolean;

  /** `sharesMac`: each has its master's MAC, so that the addresses that prevResult tells must do. */
  constructor(plugin: string, kind: string, looksLike: LooksLike, sharesMac = false) {
    this.#plugin = plugin;
    this.#kind = kind;
    this.#looksLike = looksLike;
    this.#sharesMac = sharesMac;
  }

  remove(site: Site): void {
    // Without the namespace there is nothing to delete: the link went with it.
    const inside = findNamespace(site.request);
    if (!inside) return;
    let link = findLink(inside.route, site.ifname);
    if (!link || !this.#isOwn(link, site, inside)) {
      // An ADD that was killed had not renamed it yet.
      link = findLink(inside.route, nameAtBirth(this.#kind, site));
      if (link?.kind !== this.#kind) return;
    }
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
    if (entry) {
      if (entry.mac === undefined || !sameMac(entry, link)) return false;
      return !this.#sharesMac || mayHave(inside, link, recordedAddresses(request) ?? []);
    }
    try {
      return this.#looksLike(link, site, inside);
    } catch (error) {
      request.log(`${this.#plugin}: cannot tell whose "${ifname}" is, it is left: ${errorText(error)}`);
      return false;
    }
  }
}
