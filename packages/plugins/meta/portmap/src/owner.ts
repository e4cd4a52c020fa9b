import { hashedName } from '@cni-ts/libc/name-hash';
import { networkStart, ownerNames } from '@cni-ts/rules/iptables-owner';

/** Whose rules they are. DEL and GC find everything by these three names alone. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

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

/**
 * The attachment's chain where another one's names run together to the same text and have taken the usual name: here
 * something that is in no name stands between them.
 */
export function spareIptablesChain({ network, containerId, ifname }: Owner): string {
  return hashedName(28, 'CNI-DN-', `${network}/${containerId}/${ifname}`);
}

/** The chain that the reference makes for an attachment, where ours has another name: undefined for eth0. */
export function referenceChain(owner: Owner): string | undefined {
  return owner.ifname === usualInterface ? undefined : iptablesChain({ ...owner, ifname: usualInterface });
}

/** Of a chain: the interface it is for, which neither its name nor its rules tell. Only nft shows it. */
export function chainComment({ ifname }: Owner): string {
  return `if: ${ifname}`;
}

/** Where rules of very old versions of the reference are, to be removed with the others. */
export function oldIptablesChain({ network, containerId }: Owner): string {
  return hashedName(28, 'CNI-SN-', network + containerId);
}

const longestIptablesComment = 255;

/** What iptables shows at the rule that leads to an attachment's chain. */
export function iptablesComment(owner: Owner): string {
  const whole = `dnat ${ownerNames(owner)}`;
  // The reference cuts and adds three dots, of which iptables keeps two.
  return whole.length <= longestIptablesComment ? whole : `${whole.slice(0, longestIptablesComment - 2)}..`;
}

/** What all such comments of one network start with. */
export function iptablesCommentStart(network: string): string {
  return `dnat ${networkStart(network)}`;
}

/** Network and container ID in a comment as `iptablesComment` makes it; undefined in any other. */
export function readIptablesComment(
  comment: string | undefined,
): { network: string; containerId: string } | undefined {
  const found = /^dnat name: "([^"]*)" id: "([^"]*?)(?:"|\.\.)?$/.exec(comment ?? '');
  return found ? { network: found[1] ?? '', containerId: found[2] ?? '' } : undefined;
}

/** nft takes this many bytes when it loads a ruleset that it has listed. */
const longestNftComment = 128;

/** What the comments of all rules of one network start with. */
export function networkTag(network: string): string {
  return `${hashedName(16, '', network)}-`;
}

/** What the comments of all rules of one attachment start with. */
export function ownerTag({ network, containerId, ifname }: Owner): string {
  return `${networkTag(network)}${hashedName(16, '', `${ifname}:${containerId}`)}, `;
}

/** Names the attachment to programs (the tag) and to people. */
export function nftComment(owner: Owner): string {
  return `${ownerTag(owner)}net: ${owner.network}, if: ${owner.ifname}`.slice(0, longestNftComment);
}

/** The names in a comment as `nftComment` makes it. */
export function readNftComment(comment: string | undefined): string {
  return /net: .*/.exec(comment ?? '')?.[0] ?? 'network unknown';
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
