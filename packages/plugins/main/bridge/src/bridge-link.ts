import { formatMac } from '@cni-ts/address/mac';
import { errnoOf } from '@cni-ts/libc/syscall-error';
import { recordedMac, sameMac } from '@cni-ts/resource/container-link';
import type { Namespace } from '@cni-ts/resource/namespace';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import { trySysctl } from '@cni-ts/resource/set-sysctl';
import type { Site } from '@cni-ts/resource/site';
import {
  createLink,
  deleteLink,
  findLink,
  IFF_PROMISC,
  IFF_UP,
  type Link,
  listLinks,
  setDown,
  setMac,
  setPromisc,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { isOwnedBy, isStale } from '@cni-ts/skeleton/link-owner';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { failing } from '@cni-ts/spec/failing';

export interface BridgeWant {
  readonly name: string;
  readonly mtu: number | undefined;
  readonly vlanFiltering: boolean;
  readonly promisc: boolean;
  /** Its MAC is that of the host's gateway, so it does not change with its ports. */
  readonly pinned: boolean;
}

/** The bridge a network hangs on. An existing one is taken as it is; it stays. */
export class BridgeLink implements Resource {
  readonly #want: BridgeWant;

  constructor(want: BridgeWant) {
    this.#want = want;
  }

  describe(): string {
    const { name, mtu } = this.#want;
    return `bridge ${name}${mtu ? `, mtu ${mtu}` : ''}`;
  }

  isThere(site: Site): boolean {
    return site.find('host', this.#want.name) !== undefined;
  }

  /** Finds the bridge or creates it, and sees that it is up. Safe when many attachments start at once. */
  ensure(site: Site): void {
    const { name, promisc } = this.#want;
    const { host } = site;
    const { undo } = site.request;
    failing(`failed to create bridge "${name}"`, () => {
      const link = site.find('host', name) ?? this.#create(site);
      if (link.kind !== 'bridge') throw new Error(`"${name}" already exists but is not a bridge`);
      // What is shared stays as it is by now where others have come to use it.
      const unlessUsed = (step: () => void) => () => {
        if (!isUsed(host, site.owner, link.index)) step();
      };
      if (promisc && !(link.flags & IFF_PROMISC)) {
        undo.make(
          `promiscuous mode of ${name}`,
          () =>
            failing(`could not set promiscuous mode on "${name}"`, () => setPromisc(host.route, link, true)),
          unlessUsed(() => setPromisc(host.route, link, false)),
        );
      }
      // The host is a router here: it must not take its own addresses from router advertisements of containers.
      trySysctl(`net/ipv6/conf/${name}/accept_ra`, '0', undo);
      if (!(link.flags & IFF_UP)) {
        undo.make(
          `bridge ${name} up`,
          () => setUp(host.route, link),
          unlessUsed(() => setDown(host.route, link)),
        );
      }
      site.look('host', name, link);
    });
  }

  #create(site: Site): Link {
    const { name, mtu, vlanFiltering } = this.#want;
    const { route } = site.host;
    failing(`could not add "${name}"`, () => {
      try {
        site.request.undo.make(
          `bridge ${name}`,
          () =>
            createLink(route, {
              name,
              mtu,
              info: { kind: 'bridge', data: vlanFiltering ? { vlanFiltering: 1 } : {} },
            }),
          () => {
            // Unless another attachment came to use it meanwhile.
            const link = findLink(route, name);
            if (link?.kind === 'bridge' && !isUsed(site.host, site.owner, link.index))
              deleteLink(route, link);
          },
        );
        // Nobody is on it yet who could have its link-local address. Until that is in use (a second or two, if it were
        // asked for) the kernel looks for no neighbour on behalf of others: nothing the host forwards would get in.
        trySysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
      } catch (error) {
        // Another attachment was quicker: its bridge is as good as ours.
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
    });
    const link = findLink(route, name);
    if (!link) throw new Error(`could not lookup "${name}": Link not found`);
    return link;
  }

  differences(site: Site): Drift[] {
    const text = this.#difference(site);
    return text === undefined ? [] : [{ text, hides: true }];
  }

  #difference(site: Site): string | undefined {
    const { name, pinned, promisc } = this.#want;
    const entry = site.recorded?.interfaces?.findLast((one) => one.name === name);
    if (!entry) return 'Interface name missing ';
    const link = site.find('host', name);
    if (!link) return `Interface name ${name} not found`;
    if (entry.sandbox) return `Interface ${name} should not be in sandbox`;
    if (link.kind !== 'bridge') return `Interface ${name} does not have link type of bridge`;
    // Without a pinned MAC a bridge takes the lowest of its ports': a later port may rightly have changed it.
    if (pinned && !sameMac(entry, link)) return `Bridge interface ${name} Mac doesn't match: ${entry.mac}`;
    // Promiscuous mode is only ever switched on, and someone else may want it as well.
    if (promisc && link.promiscuity === 0) {
      return `Bridge interface ${name} configured Promisc Mode true doesn't match current state: false `;
    }
    return link.flags & IFF_UP ? undefined : `Bridge interface ${name} is down`;
  }

  mend(site: Site): boolean {
    const { name, pinned } = this.#want;
    const link = site.find('host', name);
    if (link?.kind !== 'bridge') return false;
    this.ensure(site);
    const recorded = site.recorded?.interfaces?.find((one) => one.name === name);
    const mac = recorded && pinned && !sameMac(recorded, link) ? recordedMac(recorded) : undefined;
    if (mac && formatMac(mac) !== formatMac(link.mac)) setMac(site.host.route, link, mac);
    return true;
  }
}

/** Whether the bridge has ports besides the one of this attachment. */
function isUsed(host: Namespace, owner: Owner, index: number): boolean {
  return listLinks(host.route).some(
    ({ master, attributes }) => master === index && !isOwnedBy(attributes.ifAlias ?? '', owner, 'bridge'),
  );
}

/** Whether other attachments of this network are on the bridge, which then need what the network's have in common. */
export function isShared(host: Namespace, { index }: Link, owner: Owner): boolean {
  const { network, containerId, ifname } = owner;
  const own = [{ containerId, ifname }];
  return listLinks(host.route).some(
    ({ master, attributes }) => master === index && isStale(attributes.ifAlias ?? '', network, 'bridge', own),
  );
}
