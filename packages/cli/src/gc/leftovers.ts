/**
 * Rules that plugins leave though their DEL succeeds: the Go bridge and ptp return early where the namespace is gone, and
 * masquerading and the spoof check stay. They are found by their owner, whoever made them.
 */
import { hostCidr } from '@cni-ts/address/cidr';
import { parseIp } from '@cni-ts/address/ip';
import { Netlink } from '@cni-ts/netlink/socket';
import { removeMacSpoofing } from '@cni-ts/rules/mac-spoofing';
import { removeMasquerade } from '@cni-ts/rules/masquerade';
import { ruleTraces } from '@cni-ts/rules/rule-traces';
import type { Owner } from '@cni-ts/skeleton/owner-comment';

/** `addresses`: those that the attachment had; they spare another interface of the same container. */
export function removeLeftRules(owner: Owner, addresses: readonly string[]): void {
  const nl = Netlink.open('netfilter');
  try {
    const there = ruleTraces(nl, owner, { masquerade: false, spoofCheck: false });
    const known = addresses.flatMap((one) => {
      const ip = parseIp(one);
      return ip ? hostCidr(ip) : [];
    });
    if (there.masquerade) removeMasquerade(nl, owner, known);
    if (there.spoofCheck) removeMacSpoofing(nl, owner);
  } finally {
    nl.close();
  }
}
