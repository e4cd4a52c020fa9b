import { hasLegacyTable } from '@cni-ts/iptables/legacy-table';
import type { Netlink } from '@cni-ts/netlink/socket';
import { chainPresence } from '@cni-ts/nftables/chain-presence';
import { type Owner, ownChains, referenceChains } from './owner.ts';

/**
 * Whether there may be mappings of an attachment. Most containers publish no port, and that there is nothing to remove
 * shows with one message or two, and a look whether there are older tables.
 */
export function mayHaveMappings(nl: Netlink, owner: Owner): boolean {
  const names = [...ownChains(owner), ...referenceChains(owner)];
  const families = ['ip', 'ip6'] as const;
  const there = chainPresence(
    nl,
    families.flatMap((family) => [
      // Of nftables, whose maps and rules may be of anybody.
      [family, 'cni_hostport'] as const,
      ...names.map((name) => [family, 'nat', name] as const),
    ]),
  );
  return there.includes(true) || hasLegacyTable(4, 'nat') || hasLegacyTable(6, 'nat');
}

/** Whether the runtime says that the container has ports, as far as the configuration is what it should be. */
export function saysPorts(json: Readonly<Record<string, unknown>>): boolean {
  const { runtimeConfig } = json;
  if (typeof runtimeConfig !== 'object' || runtimeConfig === null) return false;
  return 'portMappings' in runtimeConfig && Array.isArray(runtimeConfig.portMappings)
    ? runtimeConfig.portMappings.length > 0
    : false;
}
