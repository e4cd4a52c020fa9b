import { unlessThere } from '@cni-ts/libc/syscall-error';
import { recordedMac, restoreMac, sameMac } from '@cni-ts/resource/container-link';
import { hiding } from '@cni-ts/resource/drift';
import { refusalOfKind } from '@cni-ts/resource/kind-of-link';
import type { Namespace } from '@cni-ts/resource/namespace';
import { randomMac } from '@cni-ts/resource/random-mac';
import type { Drift, Resource } from '@cni-ts/resource/resource';
import { trySysctl } from '@cni-ts/resource/set-sysctl';
import type { Site } from '@cni-ts/resource/site';
import {
  changedLink,
  createLink,
  deleteLink,
  findLink,
  IFF_PROMISC,
  IFF_UP,
  type Link,
  listLinks,
  setDown,
  setPromisc,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { operStates } from '@cni-ts/rtnetlink/oper-state';
import { isOwnedBy, isStale } from '@cni-ts/skeleton/link-owner';
import { failing } from '@cni-ts/spec/failing';
import type { Interface } from '@cni-ts/spec/result';
import type { Config } from './config.ts';

/** The bridge a network hangs on. An existing one is taken as it is; it stays. */
export class BridgeLink implements Resource {
  readonly name: string;
  readonly #config: Config;

  constructor(config: Config) {
    this.name = config.bridge;
    this.#config = config;
  }

  describe(): string {
    const { mtu } = this.#config;
    return `bridge ${this.name}${mtu ? `, mtu ${mtu}` : ''}`;
  }

  isThere(site: Site): boolean {
    return site.find('host', this.name) !== undefined;
  }

  /** Finds the bridge or creates it, and sees that it is up. Safe when many attachments start at once. */
  ensure(site: Site): void {
    const { name } = this;
    const { route } = site.host;
    failing(`failed to create bridge "${name}"`, () => {
      const present = site.find('host', name);
      const link = present ?? this.#create(site);
      refuseOther(link);
      // Before the first port comes: the MAC stays what it was, and attachments that are made at once all report the one
      // that it keeps.
      if (present && this.#isPinned && link.operState !== 'up') pinMac(site.host, link);
      // What is shared stays as it is by now where others have come to use it.
      const change = (what: string, work: () => void, back: () => void) =>
        site.request.undo.make(what, work, () => {
          if (!isUsed(site, link)) back();
        });
      if (this.#config.promisc && !(link.flags & IFF_PROMISC)) {
        change(
          `promiscuous mode of ${name}`,
          () => failing(`could not set promiscuous mode on "${name}"`, () => setPromisc(route, link, true)),
          () => setPromisc(route, link, false),
        );
      }
      // The host is a router here: it must not take its own addresses from router advertisements of containers.
      trySysctl(`net/ipv6/conf/${name}/accept_ra`, '0', site.request.undo);
      if (!(link.flags & IFF_UP)) {
        change(
          `bridge ${name} up`,
          () => setUp(route, link),
          () => setDown(route, link),
        );
      }
      site.look('host', name, link);
    });
  }

  foresee(site: Site, note: (text: string) => void): void {
    const { name } = this;
    const link = site.find('host', name);
    failing(`failed to create bridge "${name}"`, () => {
      if (link) return refuseOther(link);
      failing(`could not add "${name}"`, () => {
        const refusal = refusalOfKind(site, 'bridge', note);
        if (refusal) throw refusal;
      });
    });
  }

  #create(site: Site): Link {
    const { name } = this;
    const { mtu, vlan, trunk } = this.#config;
    const { route } = site.host;
    // One that it is made with is pinned from the beginning.
    const mac = this.#isPinned ? (recordedMac(this.#recorded(site)) ?? randomMac()) : undefined;
    const data = vlan !== 0 || trunk !== undefined ? { vlanFiltering: 1 } : {};
    failing(`could not add "${name}"`, () =>
      // Another attachment may be quicker: its bridge is as good as ours.
      unlessThere(() => {
        site.request.undo.make(
          `bridge ${name}`,
          () => createLink(route, { name, mac, mtu, info: { kind: 'bridge', data } }),
          () => {
            // Unless another attachment came to use it meanwhile.
            const link = findLink(route, name);
            if (link?.kind === 'bridge' && !isUsed(site, link)) deleteLink(route, link);
          },
        );
        // Nobody is on it yet who could have its link-local address. Until that is in use (a second or two, if it were
        // asked for) the kernel looks for no neighbour on behalf of others: nothing the host forwards would get in.
        trySysctl(`net/ipv6/conf/${name}/accept_dad`, '0');
      }),
    );
    const link = findLink(route, name);
    if (!link) throw new Error(`could not lookup "${name}": Link not found`);
    return link;
  }

  #recorded(site: Site): Interface | undefined {
    return site.recorded?.interfaces?.findLast((one) => one.name === this.name);
  }

  differences(site: Site): Drift[] {
    const { name } = this;
    const entry = this.#recorded(site);
    if (!entry) return hiding('Interface name missing ');
    const link = site.find('host', name);
    if (!link) return hiding(`Interface name ${name} not found`);
    if (entry.sandbox) return hiding(`Interface ${name} should not be in sandbox`);
    if (link.kind !== 'bridge') return hiding(`Interface ${name} does not have link type of bridge`);
    if (this.#isPinned && !sameMac(entry, link)) {
      return hiding(`Bridge interface ${name} Mac doesn't match: ${entry.mac}`);
    }
    // Promiscuous mode is only ever switched on, and someone else may want it as well.
    if (this.#config.promisc && link.promiscuity === 0) {
      return hiding(
        `Bridge interface ${name} configured Promisc Mode true doesn't match current state: false `,
      );
    }
    return link.flags & IFF_UP ? [] : hiding(`Bridge interface ${name} is down`);
  }

  /** Whether its MAC is that of the host's gateway. Without, a bridge takes the lowest of its ports': a later port may
   *  rightly have changed it. */
  get #isPinned(): boolean {
    return this.#config.isGateway && this.#config.vlan === 0;
  }

  mend(site: Site): boolean {
    const found = site.find('host', this.name);
    if (found && found.kind !== 'bridge') return false;
    this.ensure(site);
    const link = site.find('host', this.name);
    if (link && this.#isPinned) restoreMac(site.host, link, this.#recorded(site));
    return true;
  }
}

function refuseOther({ name, kind }: Link): void {
  if (kind !== 'bridge') throw new Error(`"${name}" already exists but is not a bridge`);
}

/**
 * Keeps the MAC that a bridge has: otherwise it is the lowest of its ports', and neighbours would lose the bridge whenever
 * that port comes or goes. One whose last port left has 00:00:00:00:00:00, which cannot be set, and gets another.
 */
export function pinMac({ route }: Namespace, link: Link): void {
  const address = link.mac.some((byte) => byte !== 0) ? link.mac : randomMac();
  // The kernel finds out the state of a bridge that never had a port when its MAC changes, which it does no more.
  const operState = link.operState === 'unknown' ? operStates.indexOf('up') : undefined;
  failing("could not set bridge's mac", () => route.request(changedLink(link, { address, operState })));
}

/** Whether the bridge has ports besides the one of this attachment. */
function isUsed(site: Site, bridge: Link): boolean {
  return hasPort(site, bridge, (alias) => !isOwnedBy(alias, site.owner, 'bridge'));
}

/** Whether other attachments of this network are on the bridge, which then need what the network's have in common. */
export function isShared(site: Site, bridge: Link): boolean {
  const { network, containerId, ifname } = site.owner;
  return hasPort(site, bridge, (alias) => isStale(alias, network, 'bridge', [{ containerId, ifname }]));
}

function hasPort({ host }: Site, { index }: Link, counts: (alias: string) => boolean): boolean {
  return listLinks(host.route).some(
    ({ master, attributes }) => master === index && counts(attributes.ifAlias ?? ''),
  );
}
