import { hasLegacyTable } from '@cni-ts/iptables/legacy-table';
import type { Netlink } from '@cni-ts/netlink/socket';
import { type ChainName, chainPresence } from '@cni-ts/nftables/chain-presence';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { macSpoofingChains } from './mac-spoofing-chains.ts';
import { masqueradeChains } from './masquerade-chains.ts';

/** Rules of an attachment that there may be. */
export interface RuleTraces {
  readonly masquerade: boolean;
  readonly spoofCheck: boolean;
}

/**
 * What DEL has to look for. What the configuration asks for is `wanted`; of the rest it may have asked for when ADD was
 * called, so the kernel is asked, usually with one message, and there is a look whether there are older tables; the code
 * that knows the rules is not needed for it.
 */
export function ruleTraces(nl: Netlink, owner: Owner, wanted: RuleTraces): RuleTraces {
  if (wanted.masquerade && wanted.spoofCheck) return wanted;
  const chains: ChainName[] = [];
  if (!wanted.masquerade) {
    chains.push(['inet', 'cni_plugins_masquerade']);
    const { usual, spare } = masqueradeChains(owner);
    for (const name of [usual, spare]) chains.push(['ip', 'nat', name], ['ip6', 'nat', name]);
  }
  const masquerading = chains.length;
  if (!wanted.spoofCheck) {
    const { usual, spare } = macSpoofingChains(owner);
    chains.push(['bridge', 'nat', usual], ['bridge', 'nat', spare]);
  }
  const there = chainPresence(nl, chains);
  return {
    masquerade: wanted.masquerade || there.slice(0, masquerading).includes(true) || hasLegacyNat(),
    spoofCheck: wanted.spoofCheck || there.slice(masquerading).includes(true),
  };
}

/** Whether one of these chains is there, or may be in the older nat tables, which no message tells anything about. */
export function mayBeThere(nl: Netlink, chains: readonly ChainName[]): boolean {
  return chainPresence(nl, chains).includes(true) || hasLegacyNat();
}

function hasLegacyNat(): boolean {
  return hasLegacyTable(4, 'nat') || hasLegacyTable(6, 'nat');
}
