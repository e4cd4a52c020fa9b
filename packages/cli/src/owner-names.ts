/**
 * Whose a thing is that is named by nothing but a hash: chains of iptables, portmap's chains of nftables, ifbs, host ends.
 * Such names follow from network, container and interface, so those of every attachment that is known are made and
 * compared. The names are made by who gives them to the kernel.
 */
import { ifbName, otherIfbName } from '@cni-ts/bandwidth/ifb';
import { nftChains, ownChains, referenceChains } from '@cni-ts/portmap/owner';
import { hostLinkName } from '@cni-ts/resource/link-name';
import { macSpoofingChains } from '@cni-ts/rules/mac-spoofing-chains';
import { masqueradeChains } from '@cni-ts/rules/masquerade-chains';
import type { Owner } from '@cni-ts/skeleton/owner-comment';
import { isSaid, ownerOf, type SaidOwner } from '@cni-ts/skeleton/owner-of';

export interface OwnedName {
  readonly name: string;
  /** Who makes it; undefined for what more than one plugin makes. */
  readonly plugin?: string;
  readonly kind: 'chain' | 'link';
  /** The interface is not in it: all interfaces of the container share the name. */
  readonly ofContainer?: true;
}

/** Every name that an attachment's things have, whichever plugins it has and whoever made them: we or the reference. */
export function namesOf(owner: Owner): OwnedName[] {
  const { network, containerId, ifname } = owner;
  const { usual, spare } = masqueradeChains(owner);
  const spoof = macSpoofingChains(owner);
  const nft = nftChains(containerId);
  const chain = (name: string, plugin?: string, ofContainer = false): OwnedName => ({
    name,
    kind: 'chain',
    ...(plugin !== undefined && { plugin }),
    ...(ofContainer && { ofContainer }),
  });
  const link = (name: string, plugin?: string): OwnedName => ({
    name,
    kind: 'link',
    ...(plugin !== undefined && { plugin }),
  });
  return [
    chain(usual, undefined, true),
    chain(spare, undefined, true),
    ...ownChains(owner).map((name) => chain(name, 'portmap')),
    ...referenceChains(owner).map((name) => chain(name, 'portmap', true)),
    ...[spoof.usual, spoof.spare].flatMap((name) => [chain(name, 'bridge'), chain(`${name}-mac`, 'bridge')]),
    chain(nft.dnat, 'portmap', true),
    chain(nft.masquerade, 'portmap', true),
    link(ifbName(owner), 'bandwidth'),
    link(otherIfbName(owner), 'bandwidth'),
    link(hostLinkName('veth', network, containerId, ifname)),
  ];
}

/** What a text or name says, with the names of the attachment that it is of, where that is among those that are known. */
export function ownerAmong(text: string, known: readonly Owner[]): SaidOwner | undefined {
  const said = ownerOf(text);
  if (said) {
    const found = known.find((one) => isSaid(said, one));
    if (!found) return said;
    const { cut: _cut, ...rest } = said;
    // An iptables comment tells no interface, and a container may have several.
    const { network, containerId, ifname } = found;
    const isSure = said.ifname !== undefined || said.mark !== undefined;
    return { ...rest, network, containerId, ...(isSure && { ifname }) };
  }
  for (const one of known) {
    const name = namesOf(one).find((of) => of.name === text);
    if (!name) continue;
    const { network, containerId, ifname } = one;
    return {
      network,
      containerId,
      ...(!name.ofContainer && { ifname }),
      ...(name.plugin !== undefined && { plugin: name.plugin }),
    };
  }
  return undefined;
}
