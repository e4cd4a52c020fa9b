import { formatMac } from '@cni-ts/address/mac';
import { deleteLink, IFF_UP, type Link, setMtu, setUp } from '@cni-ts/rtnetlink/link';
import { linkOwner } from '@cni-ts/skeleton/link-owner';
import {
  containerLinkDrift,
  type LinkWords,
  recordedLink,
  recordedMac,
  restoreMac,
  sameMac,
} from './container-link.ts';
import { hiding } from './drift.ts';
import { refusalOfKind } from './kind-of-link.ts';
import { hostLinkName } from './link-name.ts';
import type { Drift, Resource } from './resource.ts';
import type { Site } from './site.ts';
import { createVethPair, foreseeVethPair, type VethPair } from './veth-pair.ts';

export interface VethWant extends Omit<VethPair, 'containerName' | 'alias'> {
  readonly plugin: string;
  readonly words: LinkWords;
  readonly hostWords: HostWords;
}

/** What a plugin says of the host's end. */
export interface HostWords {
  missing(name: string): string;
  /** Another link has its name. */
  apart(name: string, inside: string): string;
  /** Where that is looked at. */
  down?(name: string): string;
  mac?(name: string, recorded: string): string;
  mtu(name: string, found: number, wanted: number): string;
}

/** What the kernel gives a veth (ETH_DATA_LEN, include/uapi/linux/if_ether.h). */
const usualMtu = 1500;

/** A pair of links: one in the container, the other on the host. */
export class Veth implements Resource {
  readonly #want: VethWant;

  constructor(want: VethWant) {
    this.#want = want;
  }

  describe({ ifname }: Site): string {
    const { hostName, mtu = usualMtu } = this.#want;
    return `link ${hostName} (host) ⇄ ${ifname}, mtu ${mtu}`;
  }

  ensure(site: Site): void {
    const { plugin, hostName } = this.#want;
    // Made again, it gets the MAC it had: neighbours know it.
    const recorded = recordedMac(recordedLink(site));
    const mac = this.#want.mac ?? (recorded && formatMac(recorded));
    const alias = linkOwner(site.owner, plugin);
    const hostMac = recordedMac(recordedHostEnd(site, hostName));
    const pair = { ...this.#want, containerName: site.ifname, mac, hostMac, alias };
    const made = createVethPair(pair, site.host, site.container, site.request.undo);
    site.look('host', hostName, made.host);
    site.look('container', site.ifname, made.container);
  }

  foresee(site: Site, note: (text: string) => void): void {
    const names = { containerName: site.ifname, hostName: this.#want.hostName };
    foreseeVethPair(names, site.host, site.container, refusalOfKind(site, 'veth', note));
  }

  differences(site: Site): Drift[] {
    const { words, hostName, hostWords, mtu } = this.#want;
    const basic = containerLinkDrift(site, 'veth', words);
    if (basic.length) return basic;
    const inside = site.link('container', site.ifname);
    const link = site.find('host', hostName);
    if (!link) return hiding(hostWords.missing(hostName));
    if (!areEnds(link, inside)) return hiding(hostWords.apart(hostName, inside.name));
    const all: Drift[] = [];
    const entry = recordedHostEnd(site, hostName);
    if (hostWords.mac && entry && !sameMac(entry, link)) {
      all.push({ text: hostWords.mac(hostName, entry.mac ?? '') });
    }
    if (hostWords.down && !(link.flags & IFF_UP)) all.push({ text: hostWords.down(hostName) });
    if (mtu !== undefined && link.mtu !== mtu) all.push({ text: hostWords.mtu(hostName, link.mtu, mtu) });
    return all;
  }

  mend(site: Site): boolean {
    const inside = site.find('container', site.ifname);
    const link = site.find('host', this.#want.hostName);
    if (!inside || !link || !areEnds(link, inside)) {
      // Whatever is in the way: by the recorded result this name in this container is the attachment's.
      if (inside) deleteLink(site.container.route, inside);
      if (link) deleteLink(site.host.route, link);
      site.forget();
      return false;
    }
    restoreMac(site.container, inside, recordedLink(site));
    if (this.#want.mtu && link.mtu !== this.#want.mtu) setMtu(site.host.route, link, this.#want.mtu);
    if (this.#want.hostWords.mac) restoreMac(site.host, link, recordedHostEnd(site, this.#want.hostName));
    if (!(link.flags & IFF_UP)) setUp(site.host.route, link);
    return true;
  }
}

function recordedHostEnd({ recorded }: Site, hostName: string) {
  return recorded?.interfaces?.find(({ name, sandbox }) => name === hostName && !sandbox);
}

function areEnds(link: Link, inside: Link): boolean {
  return link.kind === 'veth' && link.lower === inside.index && inside.lower === link.index;
}

/** The name of the host's end: the one that ours have, or the one that the recorded result names beside `others`. */
export function hostEndName({ owner, recorded }: Site, others: readonly string[] = []): string {
  const own = hostLinkName('veth', owner.network, owner.containerId, owner.ifname);
  const onHost: string[] = [];
  for (const { name, sandbox } of recorded?.interfaces ?? []) {
    if (!sandbox && !others.includes(name)) onHost.push(name);
  }
  return onHost.includes(own) ? own : (onHost[0] ?? own);
}
