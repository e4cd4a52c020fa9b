import type { Owner } from '@cni-ts/skeleton/owner-comment';

/** Network and container, which is all that the reference's iptables rules tell of their owner. */
export type NamedOwner = Pick<Owner, 'network' | 'containerId'>;

/** What the comments of iptables rules of one network start with, after a word for what they do. */
export function networkStart(network: string): string {
  return `name: "${network}" id: "`;
}

/** The part of a comment that names the owner, as the reference writes it. */
export function ownerNames({ network, containerId }: NamedOwner): string {
  return `${networkStart(network)}${containerId}"`;
}

/**
 * Whether a comment names somebody else. The reference hashes network and container ID without anything between them,
 * so `net1` with `1abc` and `net11` with `abc` have one chain: what leads there tells whose it is. A comment that names
 * nobody is no reason to spare anything; long ones are cut and end with dots.
 */
export function isAnothers(comment: string | undefined, owner: NamedOwner): boolean {
  const at = comment?.indexOf('name: "') ?? -1;
  if (comment === undefined || at < 0) return false;
  const [theirs, own] = [comment.slice(at), ownerNames(owner)];
  if (theirs === own) return false;
  let end = theirs.length;
  while (end > 0 && theirs[end - 1] === '.') end--;
  return end > theirs.length - 2 || !own.startsWith(theirs.slice(0, end));
}
