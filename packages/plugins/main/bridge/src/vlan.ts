export const vlanLimits = { min: 1, max: 4094 } as const;

/** One item of `vlanTrunk`: a single VLAN, a range, or both. */
export interface TrunkItem {
  readonly id?: number | undefined;
  readonly minID?: number | undefined;
  readonly maxID?: number | undefined;
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
