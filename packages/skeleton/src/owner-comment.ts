import { hashedName } from '@cni-ts/libc/name-hash';

/** Whose rules they are; everything DEL needs follows from it. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

/**
 * What the comment of a rule says about its owner: hashes of fixed length, by which rules are found again, then the
 * names for people, cut to the 128 bytes that nft shows. The form is that of the reference's masquerade rules.
 */
export function ownerComment(owner: Owner): string {
  const { network, ifname, containerId } = owner;
  const readable = `, net: ${network}, if: ${ifname}, id: ${containerId}`.replaceAll('"', '');
  return (ownerMark(owner) + readable).slice(0, 128);
}

/** What every comment of this attachment starts with, and no other's. */
export function ownerMark({ network, ifname, containerId }: Owner): string {
  return networkMark(network) + hashedName(16, '', `${ifname}:${containerId}`);
}

/** What every comment of this network's attachments starts with. */
export function networkMark(network: string): string {
  return `${hashedName(16, '', network)}-`;
}
