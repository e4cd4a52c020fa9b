import { errnoOf } from '@cni-ts/libc/syscall-error';
import { hostLinkName } from '@cni-ts/resource/link-name';
import type { Namespace } from '@cni-ts/resource/namespace';
import { createVethPair } from '@cni-ts/resource/veth-pair';
import { findLink, getLink, type Link, setUp } from '@cni-ts/rtnetlink/link';
import type { Undo } from '@cni-ts/skeleton/undo';
import { failing } from '@cni-ts/spec/failing';
import { type Bridge, connectToBridge, isShared } from './bridge-link.ts';

/**
 * The host's own leg in a VLAN of the bridge: a veth pair within the host, `<bridge>.<vlan>` to carry the gateway
 * addresses and the other end as an ordinary port in that VLAN. All containers of the VLAN share it, so it stays.
 */
export function ensureVlanGateway(
  host: Namespace,
  bridge: Bridge,
  bridgeLink: Link,
  vlan: number,
  preserveDefault: boolean,
  undo: Undo,
): Link {
  const name = `${bridge.name}.${vlan}`;
  const present = failing(`failed to find interface "${name}"`, () => findLink(host.route, name));
  return (
    present ??
    failing('failed to create vlan interface', () =>
      make(host, bridge, bridgeLink, vlan, preserveDefault, undo),
    )
  );
}

function make(
  host: Namespace,
  bridge: Bridge,
  bridgeLink: Link,
  vlan: number,
  preserveDefault: boolean,
  undo: Undo,
): Link {
  const name = `${bridge.name}.${vlan}`;
  const port = hostLinkName('veth', bridge.name, 'vlan-gateway', String(vlan));
  const pair = {
    containerName: name,
    hostName: port,
    mtu: bridgeLink.mtu,
    port: true,
    inUse: () => isShared(host, bridgeLink, bridge.owner),
  };
  const made = failing(`faild to create vlan gateway "${name}"`, () => {
    try {
      return createVethPair(pair, host, host, undo);
    } catch (error) {
      // Another container of this VLAN made it meanwhile.
      const isTaken = error instanceof Error && errnoOf(error.cause) === 'EEXIST';
      const there = isTaken && findLink(host.route, name);
      if (there) return { container: there, host: undefined };
      throw error;
    }
  });
  if (made.host) {
    connectToBridge(
      host,
      made.host,
      bridge,
      bridgeLink,
      { hairpin: false, isolated: false, vlans: { vlan, trunk: [], preserveDefault } },
      undo,
    );
  }
  failing(`failed to up "${name}"`, () => setUp(host.route, made.container));
  return getLink(host.route, name);
}
