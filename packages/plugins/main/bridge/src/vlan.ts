import type { Namespace } from '@cni-ts/resource/namespace';
import { addPortVlan, deletePortVlan, listPortVlans, type PortVlan } from '@cni-ts/rtnetlink/bridge-vlan';
import type { Link } from '@cni-ts/rtnetlink/link';
import { failing } from '@cni-ts/spec/failing';

export const vlanLimits = { min: 1, max: 4094 } as const;

/** One item of `vlanTrunk`: a single VLAN, a range, or both. */
export interface TrunkItem {
  readonly id: number | undefined;
  readonly minID: number | undefined;
  readonly maxID: number | undefined;
}

/** The VLANs of a trunk, ascending and without duplicates. Throws for the first item that makes no sense. */
export function trunkVlans(items: readonly TrunkItem[]): number[] {
  const vlans = new Set<number>();
  for (const { id, minID, maxID } of items) {
    if (minID !== undefined || maxID !== undefined) {
      const both = 'minID and maxID should be configured simultaneously';
      if (minID === undefined) throw new Error(`${both}, minID is missing`);
      if (maxID === undefined) throw new Error(`${both}, maxID is missing`);
      if (!valid(minID)) throw new Error('incorrect trunk minID parameter');
      if (!valid(maxID)) throw new Error('incorrect trunk maxID parameter');
      if (maxID < minID) throw new Error('minID is greater than maxID in trunk parameter');
      for (let vlan = minID; vlan <= maxID; vlan++) vlans.add(vlan);
    }
    if (id === undefined) continue;
    if (!valid(id)) throw new Error('incorrect trunk id parameter');
    vlans.add(id);
  }
  return [...vlans].sort((a, b) => a - b);
}

function valid(vlan: number): boolean {
  return vlan >= vlanLimits.min && vlan <= vlanLimits.max;
}

/** Which VLANs a port carries. */
export interface PortVlans {
  /** Untagged on the port; 0: none, then the trunk's untagged frames are in VLAN 1. */
  readonly vlan: number;
  readonly trunk: readonly number[];
  /** Keep what the kernel gave the port, normally VLAN 1. */
  readonly preserveDefault: boolean;
}

/**
 * The entries of a port that is in these VLANs. A trunk that contains the port's own VLAN makes that one tagged: the
 * later entry of a VLAN replaces the earlier, as in the reference.
 */
function expectedPortVlans({ vlan, trunk }: Pick<PortVlans, 'vlan' | 'trunk'>): PortVlan[] {
  if (vlan === 0 && trunk.length === 0) return [];
  const entries = new Map<number, PortVlan>();
  if (vlan) entries.set(vlan, { id: vlan, pvid: true, untagged: true });
  for (const id of trunk) entries.set(id, { id, pvid: false, untagged: false });
  if (!vlan) entries.set(1, { id: 1, pvid: true, untagged: true });
  return [...entries.values()];
}

/** Puts a bridge port into its VLANs. */
export function setPortVlans(host: Namespace, port: Link, vlans: PortVlans): void {
  const { vlan, trunk } = vlans;
  if (vlan === 0 && trunk.length === 0) return;
  if (!vlans.preserveDefault) {
    failing(`failed to remove default vlan on interface "${port.name}"`, () => {
      for (const present of listPortVlans(host.route, port)) deletePortVlan(host.route, port, present);
    });
  }
  failing(`failed to setup vlan tag on interface "${port.name}"`, () => {
    if (vlan) addPortVlan(host.route, port, { id: vlan, pvid: true, untagged: true });
    for (const id of trunk) addPortVlan(host.route, port, { id, pvid: false, untagged: false });
  });
  if (vlan) return;
  failing(`failed to setup default native vlan tag on interface "${port.name}"`, () =>
    addPortVlan(host.route, port, { id: 1, pvid: true, untagged: true }),
  );
}

/** CHECK: the VLANs the configuration gives the port, as they are. Those it has besides may be anybody's. */
export function portVlanDrift(vlans: PortVlans, host: Namespace, port: Link): string[] {
  const expected = expectedPortVlans(vlans);
  if (expected.length === 0) return [];
  const present = listPortVlans(host.route, port);
  return expected
    .filter((one) => !present.some(({ id, pvid }) => id === one.id && pvid === one.pvid))
    .map(
      ({ id, pvid }) => `Interface ${port.name} is not in VLAN ${id}${pvid ? ' as its untagged one' : ''}`,
    );
}
