import { errnoOf } from '@cni-ts/libc/syscall-error';
import type { Namespace } from '@cni-ts/resource/namespace';
import { trySysctl } from '@cni-ts/resource/set-sysctl';
import { setBridgePort } from '@cni-ts/rtnetlink/bridge-port';
import {
  createLink,
  deleteLink,
  findLink,
  findLinkByIndex,
  IFF_PROMISC,
  IFF_UP,
  type Link,
  listLinks,
  setDown,
  setMaster,
  setPromisc,
  setUp,
} from '@cni-ts/rtnetlink/link';
import { isOwnedBy, isStale } from '@cni-ts/skeleton/link-owner';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import { type PortVlans, setPortVlans } from './vlan.ts';

/** The bridge a network hangs on. An existing one is taken as it is. */
export interface Bridge {
  readonly name: string;
  readonly mtu: number | undefined;
  readonly vlanFiltering: boolean;
  readonly promisc: boolean;
  /** The attachment this is for: its port does not count when it is asked whether others use the bridge. */
  readonly owner: Owner;
}

/** Finds the bridge or creates it, and sees that it is up. Safe when many attachments start at once. */
export function ensureBridge(host: Namespace, bridge: Bridge, undo: Undo): Link {
  return failing(`failed to create bridge "${bridge.name}"`, () => {
    const link = findLink(host.route, bridge.name) ?? create(host, bridge, undo);
    if (link.kind !== 'bridge') throw new Error(`"${bridge.name}" already exists but is not a bridge`);
    // What is shared stays as it is by now where others have come to use it.
    const unlessUsed = (step: () => void) => () => {
      if (!isUsed(host, bridge, link.index)) step();
    };
    if (bridge.promisc && !(link.flags & IFF_PROMISC)) {
      undo.make(
        `promiscuous mode of ${bridge.name}`,
        () =>
          failing(`could not set promiscuous mode on "${bridge.name}"`, () =>
            setPromisc(host.route, link, true),
          ),
        unlessUsed(() => setPromisc(host.route, link, false)),
      );
    }
    // The host is a router here: it must not take its own addresses from router advertisements of containers.
    trySysctl(`net/ipv6/conf/${bridge.name}/accept_ra`, '0', undo);
    if (!(link.flags & IFF_UP)) {
      undo.make(
        `bridge ${bridge.name} up`,
        () => setUp(host.route, link),
        unlessUsed(() => setDown(host.route, link)),
      );
    }
    return link;
  });
}

function create(host: Namespace, bridge: Bridge, undo: Undo): Link {
  failing(`could not add "${bridge.name}"`, () => {
    try {
      undo.make(
        `bridge ${bridge.name}`,
        () =>
          createLink(host.route, {
            name: bridge.name,
            mtu: bridge.mtu,
            info: { kind: 'bridge', data: bridge.vlanFiltering ? { vlanFiltering: 1 } : {} },
          }),
        () => deleteUnused(host, bridge),
      );
      // Nobody is on it yet who could have its link-local address. Until that is in use (a second or two, if it were
      // asked for) the kernel looks for no neighbour on behalf of others: nothing the host forwards would get in.
      trySysctl(`net/ipv6/conf/${bridge.name}/accept_dad`, '0');
    } catch (error) {
      // Another attachment was quicker: its bridge is as good as ours.
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  });
  const link = findLink(host.route, bridge.name);
  if (!link) throw new Error(`could not lookup "${bridge.name}": Link not found`);
  return link;
}

/** Takes a bridge away that this ADD made, unless another attachment came to use it meanwhile. */
function deleteUnused(host: Namespace, bridge: Bridge): void {
  const link = findLink(host.route, bridge.name);
  if (link?.kind === 'bridge' && !isUsed(host, bridge, link.index)) deleteLink(host.route, link);
}

/** Whether the bridge has ports besides the one of this attachment. */
function isUsed(host: Namespace, { owner }: Bridge, index: number): boolean {
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

/** How a link hangs on the bridge. */
export interface Port {
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly vlans: PortVlans;
  /** Whose it is (linkOwner). */
  readonly alias?: string | undefined;
}

/**
 * Makes the link a port, and sets it up. When the bridge vanished meanwhile (an attachment that had created it failed and took it
 * back), it is made again once; the bridge as it is now is returned.
 */
export function connectToBridge(
  host: Namespace,
  link: Link,
  bridge: Bridge,
  found: Link,
  port: Port,
  undo: Undo,
): Link {
  const what = `failed to connect "${link.name}" to bridge ${bridge.name}`;
  let current = found;
  try {
    setMaster(host.route, link, current.index, { up: true, ifAlias: port.alias });
  } catch (error) {
    if (findLinkByIndex(host.route, current.index)) {
      throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    current = ensureBridge(host, bridge, undo);
    failing(what, () => setMaster(host.route, link, current.index, { up: true, ifAlias: port.alias }));
  }
  // A new port has both switched off.
  if (port.hairpin) {
    failing(`failed to setup hairpin mode for ${link.name}`, () =>
      setBridgePort(host.route, link, { hairpin: 1 }),
    );
  }
  if (port.isolated) {
    failing(`failed to set isolated on for ${link.name}`, () =>
      setBridgePort(host.route, link, { isolated: 1 }),
    );
  }
  setPortVlans(host, link, port.vlans);
  return current;
}

const portPatience = 2550;

/** Waits until the port forwards: the container's end has to be up for that. Gives up after two and a half seconds. */
export async function portUp(host: Namespace, name: string): Promise<Link> {
  const until = performance.now() + portPatience;
  for (let pause = 2; ; pause = Math.min(100, pause * 2)) {
    const link = findLink(host.route, name);
    if (link?.operState === 'up') return link;
    if (performance.now() > until) {
      throw new Error(`bridge port in error state: ${link?.operState ?? 'not-present'}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
