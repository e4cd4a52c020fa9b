import { hashedName } from '@cni-ts/libc/name-hash';
import { type NamedOwner, namingComment } from '@cni-ts/rules/iptables-owner';
import type { ChainNames } from '@cni-ts/rules/own-chain';
import { type Owner, ownerMark } from '@cni-ts/skeleton/owner-comment';

/** DEL and GC find everything by the three names of an attachment alone. */
export type { Owner };

/** The name runtimes give to a container's first interface. */
export const usualInterface = 'eth0';

/**
 * The chain of an attachment in the nat table of iptables. The reference leaves the interface out of the name; ours
 * does so for eth0 only, where nearly all port mappings are. Thus either cleans up after the other, and two
 * interfaces of one container on one network still have a chain each.
 */
export function iptablesChain({ network, containerId, ifname }: Owner): string {
  return hashedName(28, 'CNI-DN-', network + containerId + (ifname === usualInterface ? '' : `:${ifname}`));
}

export function iptablesChains(owner: Owner): ChainNames {
  const { network, containerId, ifname } = owner;
  return {
    usual: iptablesChain(owner),
    spare: hashedName(28, 'CNI-DN-', `${network}/${containerId}/${ifname}`),
  };
}

/** All that an attachment may have: also where rules of very old versions of the reference are. */
export function ownChains(owner: Owner): string[] {
  const { usual, spare } = iptablesChains(owner);
  return [usual, spare, hashedName(28, 'CNI-SN-', owner.network + owner.containerId)];
}

/** The chain that the reference makes for an attachment, where ours has another name: none for eth0. */
export function referenceChains(owner: Owner): string[] {
  return owner.ifname === usualInterface ? [] : [iptablesChain({ ...owner, ifname: usualInterface })];
}

/** Of a chain: the interface it is for, which neither its name nor its rules tell. Only nft shows it. */
export function chainComment({ ifname }: Owner): string {
  return `if: ${ifname}`;
}

/** The word for what the rules do that lead to an attachment's chain. */
export const iptablesWord = 'dnat ';

/** What iptables shows there. The reference cuts a long one and adds three dots, of which iptables keeps two. */
export function iptablesComment(owner: NamedOwner): string {
  return namingComment(owner, iptablesWord, '..');
}

/** nft takes this many bytes when it loads a ruleset that it has listed. */
const longestNftComment = 128;

/** What the comments of all rules of one attachment start with. */
export function ownerTag(owner: Owner): string {
  return `${ownerMark(owner)}, `;
}

/** Names the attachment to programs (the tag) and to people. */
export function nftComment(owner: Owner): string {
  return `${ownerTag(owner)}net: ${owner.network}, if: ${owner.ifname}`.slice(0, longestNftComment);
}

/** A container's chains in nftables; all its attachments share them. */
export function nftChains(containerId: string): { dnat: string; masquerade: string; comment: string } {
  const hash = hashedName(16, '', containerId);
  return {
    dnat: `dnat-${hash}`,
    masquerade: `masq-${hash}`,
    comment: containerId.slice(0, longestNftComment),
  };
}
