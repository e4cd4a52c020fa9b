import { addPortVlan, deletePortVlan, listPortVlans, type PortVlan } from '@cni-ts/rtnetlink/bridge-vlan';
import type { Link } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';
import type { Namespace } from './namespace.ts';

/** Which VLANs a port carries. */
export interface PortVlans {
  /** Untagged on the port; 0: none, then the trunk's untagged frames are in VLAN 1. */
  readonly vlan: number;
  readonly trunk: readonly number[];
  /** Keep what the kernel gave the port, normally VLAN 1. */
  readonly preserveDefault: boolean;
}

/** What puts a port into these VLANs, in this order. A trunk that contains the port's own VLAN makes that one tagged: the
 *  later entry of a VLAN replaces the earlier, as in the reference. */
function entriesOf({ vlan, trunk }: PortVlans): PortVlan[] {
  if (vlan === 0 && trunk.length === 0) return [];
  const native = { id: vlan || 1, pvid: true, untagged: true };
  const tagged = trunk.map((id) => ({ id, pvid: false, untagged: false }));
  return vlan ? [native, ...tagged] : [...tagged, native];
}

/** Puts a bridge port into its VLANs. */
export function setPortVlans({ route }: Namespace, port: Link, vlans: PortVlans): void {
  const entries = entriesOf(vlans);
  if (entries.length > 0 && !vlans.preserveDefault) {
    failing(`failed to remove default vlan on interface "${port.name}"`, () => {
      for (const present of listPortVlans(route, port)) deletePortVlan(route, port, present);
    });
  }
  for (const one of entries) {
    const what = one.pvid && !vlans.vlan ? 'default native vlan tag' : 'vlan tag';
    failing(`failed to setup ${what} on interface "${port.name}"`, () => addPortVlan(route, port, one));
  }
}

/** CHECK: the VLANs the configuration gives the port, as they are. Those it has besides may be anybody's. */
export function portVlanDrift(vlans: PortVlans, { route }: Namespace, port: Link): string[] {
  const expected = new Map(entriesOf(vlans).map((one) => [one.id, one]));
  if (expected.size === 0) return [];
  const present = listPortVlans(route, port);
  return [...expected.values()]
    .filter((one) => !present.some(({ id, pvid }) => id === one.id && pvid === one.pvid))
    .map(
      ({ id, pvid }) => `Interface ${port.name} is not in VLAN ${id}${pvid ? ' as its untagged one' : ''}`,
    );
}
